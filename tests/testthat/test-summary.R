linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
sleep_fit <- function(...) lmm(Reaction ~ Days + (Days | Subject), sleepstudy, ...)
page <- function(x, ...) trimws(capture.output(print(x, ...)), "right")

test_that("the table of fixed effects is lmerTest's", {
  skip_if_not_installed("lmerTest")
  table <- coef(summary(sleep_fit()))
  expect_identical(colnames(table), c("Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"))
  reference <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(table, coef(summary(reference)), tolerance = 1e-3)
  expect_equal(table["Days", "df"], 17, tolerance = 1e-5)
  expect_equal(table["Days", "Pr(>|t|)"], 3.2638e-6, tolerance = 1e-3)
})

test_that("unbalanced data have lmerTest's degrees of freedom", {
  skip_if_not_installed("lmerTest")
  d <- sleepstudy[-c(2:6, 33, 41, 77:79, 120), ]
  table <- coef(summary(lmm(Reaction ~ Days + (Days | Subject), d)))
  reference <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), d)
  expect_equal(table[, "df"], coef(summary(reference))[, "df"], tolerance = 1e-3)
})

test_that("other degrees of freedom give residual t and z tests", {
  fit <- sleep_fit()
  residual <- coef(summary(fit, ddf = "residual"))
  expect_equal(unname(residual[, "df"]), c(178, 178))
  z <- coef(summary(fit, ddf = "none"))
  expect_identical(colnames(z), c("Estimate", "Std. Error", "z value", "Pr(>|z|)"))
  expect_equal(z[, 4], 2 * pnorm(-abs(z[, 3])))
  expect_error(summary(fit, ddf = "kr"), class = "partialpool_error_argument")
  expect_error(summary(fit, dfd = "none"), class = "partialpool_error_argument")
})

test_that("a fit without random terms has the summary of lm", {
  fit <- linear_fit()
  reference <- coef(summary(lm(Reaction ~ Days, sleepstudy)))
  expect_equal(coef(summary(fit))[, c(1, 2, 4, 5)], reference)
  lines <- page(summary(fit))
  expect_true("Fixed effects (residual df):" %in% lines)
  expect_true("Residual standard deviation: 47.71" %in% lines)
})

test_that("dropped columns are rows of NA", {
  d <- transform(sleepstudy, Twice = 2 * Days)
  fit <- suppressMessages(lmm(Reaction ~ Twice + Days + (1 | Subject), d))
  table <- coef(summary(fit))
  expect_identical(rownames(table), c("(Intercept)", "Twice", "Days"))
  expect_identical(unname(rowSums(is.na(table))), c(0, 0, 5))
})

test_that("the summary prints as a statistician reads it", {
  old <- options(show.signif.stars = FALSE)
  on.exit(options(old))
  lines <- page(summary(sleep_fit()))
  expect_identical(lines[c(1:13, 15:21)], c(
    "Linear mixed model, fitted by REML",
    "Formula: Reaction ~ Days + (Days | Subject)",
    "   Data: sleepstudy",
    "",
    "REML criterion: 1743.6",
    "",
    "Scaled residuals:",
    "    Min      1Q  Median      3Q     Max",
    "-3.9536 -0.4634  0.0231  0.4634  5.1793",
    "",
    "Random effects:",
    " Groups   Name        Variance Std.Dev. Corr",
    " Subject  (Intercept) 612.09   24.740",
    " Residual             654.94   25.592",
    "Number of obs: 180, groups: Subject, 18",
    "",
    "Fixed effects (Satterthwaite's df):",
    "            Estimate Std. Error df t value Pr(>|t|)",
    "(Intercept)  251.405      6.825 17  36.838  < 2e-16",
    "Days          10.467      1.546 17   6.771 3.26e-06"
  ))
  expect_lte(max(nchar(lines)), 80)
})

test_that("stars and correlations are there when asked for", {
  fit <- sleep_fit()
  expect_false(any(grepl("Correlation of fixed", page(summary(fit)))))
  lines <- page(summary(fit, correlation = TRUE), signif.stars = TRUE)
  expect_true("Correlation of fixed effects:" %in% lines)
  expect_true("Days -0.14" %in% lines)
  expect_true(any(grepl("Signif. codes", lines)))
})

test_that("rows left out are counted", {
  d <- sleepstudy
  d$Reaction[3] <- NA
  d$w <- c(1, 0, 0, rep(1, 177))
  lines <- page(summary(lmm(Reaction ~ Days + (1 | Subject), d)))
  expect_true("Left out: 1 row with missing values" %in% lines)
  lines <- page(summary(suppressMessages(lmm(Reaction ~ Days + (1 | Subject), sleepstudy,
    weights = d$w
  ))))
  expect_true("Left out: 2 rows of zero weight" %in% lines)
})
