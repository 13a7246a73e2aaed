quick <- function(...) suppressMessages(suppressWarnings(...))

test_that("likelihood-ratio tests are those of lme4", {
  skip_if_not_installed("lme4")
  d <- transform(sleepstudy, late = factor(ifelse(Days > 6, "yes", ifelse(Days > 3, "mid", "no"))))
  formula <- Reaction ~ Days * late + (1 | Subject)
  mine <- drop1(lmm(formula, d), ~ .)
  theirs <- quick(drop1(lme4::lmer(formula, d), ~ ., test = "Chisq"))
  expect_equal(rownames(mine), rownames(theirs))
  expect_equal(mine$npar, theirs$npar)
  expect_equal(mine$AIC, theirs$AIC, tolerance = 1e-6)
  expect_equal(mine$LRT, theirs$LRT, tolerance = 1e-4)
  expect_equal(mine[["Pr(>Chisq)"]], theirs[["Pr(Chi)"]], tolerance = 1e-4)
  # Marginality: only the interaction may go.
  expect_equal(rownames(drop1(lmm(formula, d))), c("<none>", "Days:late"))

  binary <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  reference <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp,
                           stats::binomial)
  theirs <- quick(drop1(reference, test = "Chisq"))
  expect_equal(drop1(binary)$LRT, theirs$LRT, tolerance = 1e-5)
  expect_equal(drop1(binary, k = 3)$AIC - drop1(binary)$AIC, c(5, 2))
})

test_that("nothing is said, and a fit by REML is compared by ML", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_no_message(table <- drop1(fit))
  smaller <- lmm(Reaction ~ 1 + (Days | Subject), sleepstudy, REML = FALSE)
  expect_equal(table["Days", "LRT"],
               2 * as.numeric(logLik(update(fit, REML = FALSE)) - logLik(smaller)))
  expect_named(drop1(fit, test = "none"), c("npar", "AIC"))
  expect_snapshot(drop1(fit))
  expect_snapshot(drop1(fit, test = "F"))
})

test_that("F tests are those of lmerTest", {
  skip_if_not_installed("lmerTest")
  d <- transform(sleepstudy, late = factor(Days > 6), u = sin(as.numeric(Subject) * Days))
  formula <- Reaction ~ late + u + Days + (Days | Subject)
  mine <- drop1(lmm(formula, d), test = "F")
  theirs <- quick(drop1(lmerTest::lmer(formula, d)))
  expect_equal(mine[["F value"]], theirs[["F value"]], tolerance = 1e-4)
  expect_equal(mine$DenDF, theirs$DenDF, tolerance = 1e-3)
  expect_equal(mine$NumDF, theirs$NumDF)
  skip_if_not_installed("pbkrtest")
  mine <- drop1(lmm(formula, d), test = "F", ddf = "kenward-roger")
  theirs <- quick(drop1(lmerTest::lmer(formula, d), ddf = "Kenward-Roger"))
  expect_equal(mine[["F value"]], theirs[["F value"]], tolerance = 1e-4)
  expect_equal(mine$DenDF, theirs$DenDF, tolerance = 1e-3)
})

test_that("the data are not looked up again, whatever stands in the formula", {
  fit <- quick(local({
    d <- small_data()
    d$`odd name` <- d$x^2
    degree <- 2
    lmm(y ~ poly(x, degree) + log(w) + `odd name` + offset(o) + (1 | g), d, weights = w,
        na.action = na.exclude)
  }))
  expect_no_message(table <- drop1(fit))
  expect_equal(rownames(table), c("<none>", "poly(x, degree)", "log(w)", "`odd name`"))
  d <- small_data()
  d$`odd name` <- d$x^2
  by_hand <- lmm(y ~ poly(x, 2) + `odd name` + offset(o) + (1 | g), d, weights = w, REML = FALSE)
  whole <- quick(lmm(y ~ poly(x, 2) + log(w) + `odd name` + offset(o) + (1 | g), d, weights = w,
                     REML = FALSE))
  expect_equal(table["log(w)", "LRT"], 2 * as.numeric(logLik(whole) - logLik(by_hand)),
               tolerance = 1e-6)
  # One of the squares is a combination of the polynomial: nothing to leave out.
  expect_equal(table["`odd name`", "npar"], 0)
  expect_true(is.na(table["`odd name`", "Pr(>Chisq)"]))
  expect_equal(drop1(fit, test = "F")["log(w)", "NumDF"], 1)
})

test_that("F tests of the columns left out, by coefficients and by empty cells", {
  d <- expand.grid(a = factor(1:3), b = factor(1:3), g = factor(1:6), r = 1:2)
  d <- subset(d, !(a == 3 & b == 3))
  set.seed(1)
  d$y <- rnorm(nrow(d)) + rnorm(6)[d$g] + as.numeric(d$a)
  fit <- quick(lmm(y ~ a * b + (1 | g), d))
  f <- drop1(fit, test = "F")
  expect_equal(f$NumDF, 3)
  at <- grep(":", names(fixef(fit)))
  L <- diag(length(fixef(fit)))[at, ]
  expect_equal(f[["F value"]], partialpool:::inference(fit)$joint(L)$statistic)
  additive <- lmm(y ~ a + b + (1 | g), d)
  L <- diag(5)[2:3, ]
  expect_equal(drop1(additive, "a", test = "F")[["F value"]],
               partialpool:::inference(additive)$joint(L)$statistic)
  # Without an intercept the factor left over takes its place.
  none <- lmm(y ~ 0 + a + b + (1 | g), d)
  expect_equal(drop1(none, ~ a, test = "F")$NumDF, 2)
  expect_equal(drop1(none)$npar, c(NA, 2, 2))
})

test_that("generalised models with a prior and other parts, and no random effects", {
  set.seed(2)
  d <- data.frame(g = rep(1:10, each = 8), x = rnorm(80), z = rnorm(80))
  d$y <- rpois(80, exp(0.3 + 0.5 * d$x + rnorm(10, sd = 0.3)[d$g]))
  fit <- quick(glmm(y ~ x + z + (1 | g), d, poisson, prior = normal_prior(c(2, x = 1))))
  table <- drop1(fit)
  expect_equal(table$npar, c(NA, 1, 1))
  expect_gt(table["x", "LRT"], table["z", "LRT"])
  zi <- quick(glmm(y ~ x + (1 | g), d, poisson, ziformula = ~ 1))
  expect_equal(rownames(drop1(zi)), c("<none>", "x"))
  plain <- quick(lmm(y ~ x + z, d))
  expect_equal(drop1(plain)$LRT[-1L], {
    m <- stats::lm(y ~ x + z, d)
    c(2 * (logLik(m) - logLik(stats::lm(y ~ z, d))), 2 * (logLik(m) - logLik(stats::lm(y ~ x, d))))
  }, ignore_attr = TRUE)
  expect_equal(drop1(plain, test = "F")[["F value"]],
               drop1(stats::lm(y ~ x + z, d), test = "F")[["F value"]][-1L])
  expect_equal(nrow(drop1(quick(lmm(y ~ 1 + (1 | g), d)))), 1L)
})

test_that("arguments are checked", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  binary <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  bad <- function(...) expect_error(drop1(...), class = "partialpool_error_argument")
  bad(fit, "days")
  bad(fit, 1)
  bad(fit, test = "t")
  bad(fit, tests = "F")
  bad(fit, ddf = "none")
  bad(fit, test = "F", ddf = "kr")
  bad(binary, test = "F")
  bad(suppressMessages(update(binary, method = "pql")))
})
