slopes <- Reaction ~ Days + I(Days^2) + (Days | Subject)

test_that("coeftest() has the tests of the summary", {
  skip_if_not_installed("lmtest")
  fit <- lmm(slopes, sleepstudy)
  table <- lmtest::coeftest(fit)
  expect_equal(unclass(table)[, 1:4], summary(fit)$coefficients[, c(1, 2, 4, 5)],
               ignore_attr = TRUE)
  expect_equal(attr(table, "df"), summary(fit)$coefficients[, "df"], ignore_attr = TRUE)
  skip_if_not_installed("lmerTest")
  theirs <- summary(lmerTest::lmer(slopes, sleepstudy))$coefficients
  expect_equal(unclass(table)[, 1:4], theirs[, c(1, 2, 4, 5)], tolerance = 1e-4, ignore_attr = TRUE)
})

test_that("intervals have a quantile for each coefficient", {
  skip_if_not_installed("lmtest")
  d <- transform(sleepstudy, x = sin(1.7 * seq_len(180)))
  fit <- lmm(Reaction ~ Days + x + (Days | Subject), d)
  ours <- lmtest::coefci(fit)
  wald <- confint(fit, names(fixef(fit)), method = "wald")
  expect_equal(ours, wald, ignore_attr = TRUE)
  expect_identical(colnames(ours), c("2.5 %", "97.5 %"))
  expect_equal(stats::confint(lmtest::coeftest(fit), "x", 0.9),
               lmtest::coefci(fit, "x", level = 0.9))
  expect_identical(dim(lmtest::coefci(fit, 2:3)), c(2L, 2L))
})

test_that("generalised models have z tests", {
  skip_if_not_installed("lmtest")
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  table <- lmtest::coeftest(fit)
  expect_identical(attr(table, "method"), "z test of coefficients")
  expect_equal(unclass(table)[, 1:4], summary(fit)$coefficients[, 1:4], ignore_attr = TRUE)
  skip_if_not_installed("lme4")
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  theirs <- summary(lme4::glmer(formula, cbpp, binomial()))$coefficients
  # lme4's standard errors are by finite differences at an optimum of three digits.
  expect_equal(unclass(table)[, 1:2], theirs[, 1:2], tolerance = 0.02, ignore_attr = TRUE)
})

test_that("lrtest() compares by ML, as anova()", {
  skip_if_not_installed("lmtest")
  skip_if_not_installed("lme4")
  fit <- lmm(slopes, sleepstudy)
  smaller <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_message(table <- lmtest::lrtest(fit, smaller), class = "partialpool_message_fit")
  own <- suppressMessages(anova(fit, smaller))
  expect_equal(table$Chisq[2], own$Chisq[2])
  expect_equal(table$LogLik, rev(own$logLik))
  theirs <- lmtest::lrtest(lme4::lmer(slopes, sleepstudy, REML = FALSE),
                           lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE))
  expect_equal(as.matrix(table), as.matrix(theirs), tolerance = 1e-5)
  for (change in list(2, "I(Days^2)", . ~ . - I(Days^2))) {
    expect_equal(suppressMessages(lmtest::lrtest(fit, change)), table, ignore_attr = TRUE)
  }
  without <- suppressMessages(lmtest::lrtest(fit))
  expect_identical(without[["#Df"]], c(7, 5))
})

test_that("waldtest() is lme4's, F has our degrees of freedom", {
  skip_if_not_installed("lmtest")
  skip_if_not_installed("lme4")
  fit <- lmm(slopes, sleepstudy)
  reference <- lme4::lmer(slopes, sleepstudy)
  V <- function(fit) as.matrix(vcov(fit))
  ours <- lmtest::waldtest(fit, "I(Days^2)")
  # Of a fit of lme4 lmtest finds no coefficients: its statistic by hand.
  expect_equal(ours$Chisq[2], (lme4::fixef(reference)[[3]]^2 / V(reference)[3, 3]),
               tolerance = 1e-4)
  expect_equal(ours$Res.Df, c(173, 174))
  expect_equal(as.matrix(lmtest::waldtest(fit, "I(Days^2)", vcov = V)), as.matrix(ours))
  chain <- lmtest::waldtest(fit, 2, 1)
  expect_identical(chain$Df, c(NA, -1, -1))
  f <- lmtest::waldtest(fit, 2, test = "F")
  expect_equal(f$F[2], summary(fit)$coefficients[3, "t value"]^2)
  expect_equal(f[["Pr(>F)"]][2], summary(fit)$coefficients[3, "Pr(>|t|)"])
  both <- linear_hypothesis(fit, diag(3)[2:3, ], test = "F")
  expect_equal(lmtest::waldtest(fit, test = "F")$F[2], attr(both, "joint")$statistic)
})

test_that("changes need no data, and what is wrong is refused", {
  skip_if_not_installed("lmtest")
  fit <- local({
    gone <- sleepstudy
    lmm(slopes, gone)
  })
  expect_no_error(suppressMessages(lmtest::lrtest(fit, . ~ . - I(Days^2))))
  expect_error(lmtest::waldtest(fit, "x"), class = "partialpool_error_argument")
  expect_error(lmtest::lrtest(fit, 7), class = "partialpool_error_argument")
  other <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy[-1, ])
  expect_error(lmtest::lrtest(fit, other), class = "partialpool_error_argument")
})
