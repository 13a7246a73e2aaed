# Names and values of the natural parameters, their map to theta, and Wald's standard errors.

test_that("names and order are those of lme4's confint()", {
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  natural <- natural_parameters(fit)
  expect_named(natural, c(
    "sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject", "sd_Days|Subject", "sigma",
    "(Intercept)", "Days"
  ))
  table <- as.data.frame(VarCorr(fit), order = "lower.tri")
  expect_equal(unname(natural[1:4]), table$sdcor, tolerance = 1e-12)
  expect_equal(natural[5:6], fixef(fit))
  reference <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_identical(names(natural)[1:4], lme4:::profnames(reference, signames = FALSE))
})

test_that("every structure has names, one a parameter", {
  names_of <- function(formula) names(natural_parameters(quietly(lmm(formula, sleepstudy))))
  expect_identical(names_of(Reaction ~ 0 + (Days || Subject)),
                   c("sd_(Intercept)|Subject", "sd_Days|Subject", "sigma"))
  expect_identical(names_of(Reaction ~ 0 + cs(Days | Subject)),
                   c("sd_(Intercept)|Subject", "sd_Days|Subject", "cor_cs|Subject", "sigma"))
  expect_identical(names_of(Reaction ~ 0 + cs(Days | Subject, hom = TRUE)),
                   c("sd_(Intercept)..Days|Subject", "cor_cs|Subject", "sigma"))
  expect_identical(names_of(Reaction ~ 0 + (1 | Subject) + (0 + Days | Subject)),
                   c("sd_(Intercept)|Subject", "sd_Days|Subject", "sigma"))
  expect_identical(names_of(Reaction ~ Days), c("sigma", "(Intercept)", "Days"))
  twice <- suppressWarnings(names_of(Reaction ~ 0 + (1 | Subject) + (1 + Days | Subject)))
  expect_false(anyDuplicated(twice) > 0L)
})

test_that("a generalised model adds dispersion, zero inflation and shape", {
  set.seed(4)
  d <- data.frame(g = gl(12, 10), x = rnorm(120))
  d$y <- rnbinom(120, size = 2, mu = exp(0.5 + 0.3 * d$x + rnorm(12, 0, 0.5)[d$g]))
  d$y[sample(120, 30)] <- 0
  fit <- quietly(glmm(y ~ x + (1 | g), d, nbinom2(), ziformula = ~1))
  natural <- natural_parameters(fit)
  expect_named(natural, c("sd_(Intercept)|g", "(Intercept)", "x", "disp.(Intercept)",
                          "zi.(Intercept)"))
  expect_equal(unname(natural[4]), unname(fixef(fit, component = "disp")))
  expect_identical(nrow(natural_parameter_table(fit)), length(natural))
})


test_that("SEEDS 85: the standard error of the variance is on its own scale", {
  d <- read.csv(test_path("fixtures", "B_naplib_seed0.csv"))
  fit <- lmm(output ~ feature_1 + feature_2 + (1 | subject), d)
  se <- sqrt(diag(vcov(fit, full = TRUE)))
  expect_equal(se[["subject.(Intercept)"]], 7.66901625364857, tolerance = 1e-5)
  expect_equal(se[["Residual"]], 0.00525367162672376, tolerance = 1e-5)
})

test_that("Wald standard errors follow from those of the covariances by the delta method", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  wald <- natural_wald(fit)
  V <- vcov(fit, full = TRUE)[3:6, 3:6]
  S <- VarCorr(fit)$Subject[c(1, 2, 4)]
  natural <- function(s) c(log(s[1]) / 2, atanh(s[2] / sqrt(s[1] * s[3])), log(s[3]) / 2)
  J <- vapply(1:3, function(i) {
    h <- replace(numeric(3), i, 1e-5 * abs(S[i]))
    (natural(S + h) - natural(S - h)) / (2e-5 * abs(S[i]))
  }, numeric(3))
  expect_equal(wald$std.error[1:3], sqrt(diag(J %*% V[1:3, 1:3] %*% t(J))), tolerance = 1e-7)
  expect_equal(wald$std.error[4], sqrt(V[4, 4]) / (2 * fit$sigma^2), tolerance = 1e-10)
  expect_equal(wald$std.error[5:6], unname(sqrt(diag(vcov(fit)))))
})

test_that("at a boundary there is no standard error", {
  wald <- natural_wald(quietly(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2)))
  expect_identical(is.na(wald$std.error), c(TRUE, FALSE, FALSE))
})

test_that("lower_factor() is a factor of any rank", {
  set.seed(1)
  for (p in 1:4) {
    for (rank in 0:p) {
      A <- matrix(rnorm(p * p), p) %*% diag(as.numeric(seq_len(p) <= rank), p)
      L <- lower_factor(A)
      expect_equal(tcrossprod(L), tcrossprod(A), tolerance = 1e-12)
      expect_true(all(L[upper.tri(L)] == 0) && all(diag(L) >= 0))
    }
  }
})
