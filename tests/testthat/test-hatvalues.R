sleep <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
quiet <- function(code) suppressWarnings(suppressMessages(code))

test_that("leverages, residuals and distances of rows are lme4's", {
  skip_if_not_installed("lme4")
  sharp <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12))
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = sharp)
  expect_equal(hatvalues(sleep), hatvalues(theirs), tolerance = 1e-6)
  expect_equal(rstudent(sleep), rstudent(theirs), tolerance = 1e-6)
  expect_equal(cooks.distance(sleep), cooks.distance(theirs), tolerance = 1e-6)
  expect_equal(hatvalues(sleep, fullHatMatrix = TRUE),
               as.matrix(hatvalues(theirs, fullHatMatrix = TRUE)), tolerance = 1e-6)
  w <- rep(1:3, 60)
  mine <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, weights = w)
  theirs <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleepstudy, weights = w)
  expect_equal(hatvalues(mine), hatvalues(theirs), tolerance = 1e-6)
  expect_equal(cooks.distance(mine), cooks.distance(theirs), tolerance = 1e-5)
})

test_that("leverages are the derivative of the fitted values", {
  f <- sleep
  direct <- vapply(c(1, 60, 113), function(i) {
    work <- as_linear(f)
    at <- function(change) {
      work$y[i] <- work$y[i] + change
      eng <- engine_create(engine_rows(work), TRUE, "automatic")
      found <- engine_estimates(eng, unname(f$theta))
      term <- f$random[[1]]
      fixed_part(f$X, found$coefficients) + random_part(term$codes, term$z, found$b[[1]])
    }
    ((at(1) - at(-1)) / 2)[i]
  }, 0)
  expect_equal(unname(hatvalues(f)[c(1, 60, 113)]), direct, tolerance = 1e-9)
})

test_that("of a generalised model they are those of the working weights", {
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  p <- components(fit)
  A <- cbind(p$X, as.matrix(p$Z %*% p$Lambda))
  dense <- function(A, w, D) {
    unname(rowSums((A %*% solve(crossprod(A, w * A) + diag(D))) * A) * w)
  }
  D <- rep(c(0, 1), c(4, 15))
  expect_equal(unname(hatvalues(fit)), dense(A, p$working_weights, D), tolerance = 1e-9)
  # A prior adds its precisions.
  held <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(),
               prior = normal_prior(1))
  p <- components(held)
  A <- cbind(p$X, as.matrix(p$Z %*% p$Lambda))
  D[1:4] <- prior_values(held$prior, colnames(p$X))$precision
  expect_equal(unname(hatvalues(held)), dense(A, p$working_weights, D), tolerance = 1e-9)
  expect_equal(diag(hatvalues(held, TRUE)), hatvalues(held))
  # lme4's formula, which has the prior weights, with its working ones; its theta has three digits.
  skip_if_not_installed("lme4")
  theirs <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(),
    control = lme4::glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10)))
  v <- lme4::getME(theirs, c("L", "Lambdat", "Zt", "RX", "X", "RZX"))
  root <- sqrt(weights(theirs, "working"))
  CL <- Matrix::solve(v$L, Matrix::solve(v$L, v$Lambdat %*% v$Zt %*% Matrix::Diagonal(x = root),
                                         system = "P"), system = "L")
  CR <- solve(t(v$RX), t(v$X * root) - as.matrix(Matrix::crossprod(v$RZX, CL)))
  expected <- Matrix::colSums(CL^2) + colSums(as.matrix(CR)^2)
  expect_equal(unname(hatvalues(fit)), unname(expected), tolerance = 1e-3)
})

test_that("families without a quasi-score have the curvature of their log-likelihood", {
  set.seed(5)
  d <- data.frame(g = gl(20, 8), x = sin(1:160))
  d$y <- d$x + rnorm(20)[d$g] + rt(160, 1.5) / 2
  # A variance that is infinite, and weights that are not zero.
  fit <- quiet(glmm(y ~ x + (1 | g), d, t_family()))
  expect_lt(fit$shape, 2)
  r2 <- (d$y - predict(fit))^2
  scale <- fit$shape * sigma(fit)^2
  curvature <- (fit$shape + 1) * (scale - r2) / (scale + r2)^2
  found <- row_information(fit, fitted_values(fit))
  inside <- curvature > 0
  expect_equal(found[inside], unname(curvature[inside]), tolerance = 1e-5)
  expect_true(all(found[!inside] < 1e-6 * max(found)))
  A <- cbind(fit$X, fit$Lambda[[1]][1] * outer(as.integer(d$g), 1:20, `==`))
  C <- crossprod(A, found * A) + diag(rep(0:1, c(2, 20)))
  expect_equal(unname(hatvalues(fit)), unname(rowSums((A %*% solve(C)) * A) * found))
})

test_that("without random effects they are those of lm and glm", {
  mine <- quiet(lmm(Reaction ~ Days, sleepstudy))
  theirs <- lm(Reaction ~ Days, sleepstudy)
  expect_equal(hatvalues(mine), hatvalues(theirs))
  expect_equal(rstandard(mine), rstandard(theirs))
  expect_equal(cooks.distance(mine), cooks.distance(theirs))
  mine <- quiet(glmm(TICKS ~ YEAR + HEIGHT, grouseticks, poisson()))
  theirs <- glm(TICKS ~ YEAR + HEIGHT, poisson(), grouseticks)
  expect_equal(hatvalues(mine), hatvalues(theirs), tolerance = 1e-6)
  expect_equal(rstandard(mine, "deviance"), rstandard(theirs), tolerance = 1e-6)
  expect_equal(rstandard(mine), rstandard(theirs, type = "pearson"), tolerance = 1e-6)
  expect_equal(rstudent(mine), rstudent(theirs), tolerance = 1e-6)
  expect_equal(cooks.distance(mine), cooks.distance(theirs), tolerance = 1e-6)
})

test_that("rows left out have NA under na.exclude", {
  d <- sleepstudy
  d$Reaction[7] <- NA
  fit <- lmm(Reaction ~ Days + (1 | Subject), d, na.action = na.exclude)
  for (f in list(hatvalues, rstandard, rstudent, cooks.distance)) {
    expect_identical(unname(which(is.na(f(fit)))), 7L)
  }
})

test_that("kernel models: in the latent variable, where it is linear in the response", {
  K <- exp(-as.matrix(dist(1:40)) / 3)
  y <- drop(K %*% cos((1:40)^2)) + sin(3 * (1:40)^2)
  X <- cbind(1, 1:40)
  dense <- function(fit, noise) {
    v <- kernel_variances(fit)
    R <- solve(v[["v0"]] * K + diag(v[["v1"]] * (fit$model != "spectral") + noise, 40))
    P <- R - R %*% X %*% solve(t(X) %*% R %*% X, t(X) %*% R)
    unname(1 - noise * diag(P))
  }
  fit <- quiet(kernel_lmm(y, X, K))
  expect_equal(unname(hatvalues(fit)), dense(fit, kernel_variances(fit)[["v1"]]),
               tolerance = 1e-8)
  known <- quiet(kernel_lmm(y, X, K, noise_var = rep(0.3, 40), REML = FALSE))
  expect_equal(unname(hatvalues(known)), dense(known, 0.3), tolerance = 1e-7)
  general <- quiet(kernel_glmm(rep(c(0, 3, 1, 5), each = 10), NULL, K, "poisson"))
  expect_error(hatvalues(general), class = "partialpool_error_fit")
  for (f in list(rstandard, rstudent, cooks.distance, influence, dfbeta, dfbetas)) {
    expect_error(f(fit), class = "partialpool_error_fit")
  }
})

test_that("arguments are checked", {
  expect_error(hatvalues(sleep, full = TRUE, x = 1), class = "partialpool_error_argument")
  expect_error(rstandard(sleep, "response"), class = "partialpool_error_argument")
  expect_error(cooks.distance(sleep, nonsense = 1), class = "partialpool_error_argument")
})
