# The same generalised model told in another way must give the same answer.

suppressWarnings(RNGversion("3.6.0"))
set.seed(21)
n <- 320
d <- data.frame(
  g = factor(sample(16, n, TRUE)), h = factor(sample(7, n, TRUE)), x = rnorm(n), z = rnorm(n),
  e = runif(n, 0.5, 3), w = sample(3, n, TRUE)
)
b <- cbind(rnorm(16, 0, 0.8), rnorm(16, 0, 0.5))
eta <- 0.2 + 0.5 * d$x - 0.3 * d$z + b[d$g, 1] + b[d$g, 2] * d$x + rnorm(7, 0, 0.5)[d$h]
d$binary <- rbinom(n, 1, plogis(eta))
d$trials <- sample(1:8, n, TRUE)
d$success <- rbinom(n, d$trials, plogis(eta))
d$count <- rpois(n, d$e * exp(eta))
d$dispersed <- rnbinom(n, size = 2, mu = exp(eta))
d$positive <- rgamma(n, 3, 3 / exp(eta))
rm(b, eta)

models <- list(
  binomial = list(cbind(success, trials - success) ~ x + z + (x | g) + (1 | h), binomial()),
  probit = list(binary ~ x + z + (1 | g) + (1 | h), binomial("probit")),
  poisson = list(count ~ x + z + (x | g) + (1 | h), poisson()),
  nbinom2 = list(dispersed ~ x + z + (1 | g) + (1 | h), "nbinom2"),
  Gamma = list(positive ~ x + z + (x | g), Gamma("log"))
)
fit_model <- function(model, data, ...) quietly(glmm(model[[1]], data, model[[2]], ...))
fits <- lapply(models, fit_model, d)

same_fit <- function(a, b, tolerance = 1e-6) {
  expect_equal(a$criterion, b$criterion, tolerance = 1e-9)
  expect_equal(unname(fixef(a)), unname(fixef(b)), tolerance = tolerance)
  expect_equal(unname(a$theta), unname(b$theta), tolerance = 10 * tolerance)
  expect_equal(unname(sigma(a)), unname(sigma(b)), tolerance = tolerance)
  expect_equal(unname(vcov(a)), unname(vcov(b)), tolerance = 1e-3)
}

test_that("rows may be permuted", {
  set.seed(1)
  order <- sample(n)
  for (name in names(models)) same_fit(fit_model(models[[name]], d[order, ]), fits[[name]])
})

test_that("levels may be renamed and reordered", {
  set.seed(2)
  e <- d
  e$g <- factor(paste("level", e$g), levels = paste("level", sample(levels(d$g))))
  e$h <- as.character(e$h)
  for (name in names(models)) {
    again <- fit_model(models[[name]], e)
    same_fit(again, fits[[name]])
    expect_equal(ranef(again)$g["level 3", 1], ranef(fits[[name]])$g["3", 1], tolerance = 1e-5)
  }
})

test_that("units of the predictors do not matter", {
  for (name in names(models)) {
    fit <- fits[[name]]
    for (c in c(1e-6, 1e8)) {
      again <- fit_model(models[[name]], transform(d, x = x * c))
      expect_equal(again$criterion, fit$criterion, tolerance = 1e-9)
      expect_equal(fixef(again)[["x"]] * c, fixef(fit)[["x"]], tolerance = 1e-6)
      expect_equal(sqrt(vcov(again)["x", "x"]) * c, sqrt(vcov(fit)["x", "x"]), tolerance = 1e-4)
      sd <- attr(VarCorr(again)$g, "stddev")
      if ("x" %in% names(sd)) {
        expect_equal(sd[["x"]] * c, attr(VarCorr(fit)$g, "stddev")[["x"]], tolerance = 1e-5)
      }
    }
    again <- fit_model(models[[name]], transform(d, x = x + 1e5))
    expect_equal(again$criterion, fit$criterion, tolerance = 1e-8)
    expect_equal(fixef(again)[["x"]], fixef(fit)[["x"]], tolerance = 1e-5)
    again <- fit_model(models[[name]], transform(d, z = 1e8 * z))
    expect_equal(again$criterion, fit$criterion, tolerance = 1e-9)
    again <- fit_model(models[[name]], transform(d, z = z + 1e5))
    expect_equal(again$criterion, fit$criterion, tolerance = 1e-8)
    expect_equal(fixef(again)[["z"]], fixef(fit)[["z"]], tolerance = 1e-5)
  }
})

test_that("the unit of a positive response shifts the intercept of a log link", {
  fit <- fits$Gamma
  for (c in c(1e-6, 1e6)) {
    again <- fit_model(models$Gamma, transform(d, positive = positive * c))
    expect_equal(again$criterion, fit$criterion + 2 * n * log(c), tolerance = 1e-8)
    expect_equal(fixef(again)[[1]], fixef(fit)[[1]] + log(c), tolerance = 1e-6)
    expect_equal(fixef(again)[-1], fixef(fit)[-1], tolerance = 1e-6)
    expect_equal(sigma(again), sigma(fit), tolerance = 1e-6)
  }
})

test_that("terms may come in any order, nesting is its expansion", {
  a <- quietly(glmm(count ~ x + z + (1 | h) + (x | g), d, poisson()))
  expect_equal(a$criterion, fits$poisson$criterion, tolerance = 1e-10)
  expect_equal(fixef(a), fixef(fits$poisson), tolerance = 1e-6)
  d$t <- factor(rep(1:2, n / 2))
  a <- quietly(glmm(count ~ x + (1 | g / t), d, poisson()))
  b <- quietly(glmm(count ~ x + (1 | g:t) + (1 | g), d, poisson()))
  expect_equal(a$criterion, b$criterion, tolerance = 1e-10)
})

test_that("a fixed factor may be coded in any way", {
  d$f <- factor(rep(c("a", "b", "c", "d"), n / 4))
  a <- quietly(glmm(count ~ f + x + (1 | g), d, poisson()))
  b <- quietly(glmm(count ~ f + x + (1 | g), d, poisson(), contrasts = list(f = "contr.sum")))
  expect_equal(a$criterion, b$criterion, tolerance = 1e-10)
  expect_equal(unname(fitted(a)), unname(fitted(b)), tolerance = 1e-6)
})

test_that("weights are replicated rows", {
  repeated <- d[rep(seq_len(n), d$w), ]
  for (name in c("probit", "poisson", "nbinom2", "Gamma")) {
    a <- quietly(eval(bquote(glmm(.(models[[name]][[1]]), d, models[[name]][[2]], weights = w))))
    same_fit(a, fit_model(models[[name]], repeated))
  }
})

test_that("a row of weight zero is as good as absent", {
  d$keep <- as.numeric(seq_len(n) %% 9 > 0)
  a <- quietly(glmm(count ~ x + (1 | g), d, poisson(), weights = keep))
  b <- quietly(glmm(count ~ x + (1 | g), d[d$keep > 0, ], poisson()))
  same_fit(a, b)
  expect_equal(nobs(a), nobs(b))
})

test_that("an aggregated binomial response equals its 0/1 rows up to the constant", {
  rows <- d[rep(seq_len(n), d$trials), ]
  rows$one <- unlist(Map(function(s, t) rep(1:0, c(s, t - s)), d$success, d$trials))
  constant <- 2 * sum(lchoose(d$trials, d$success))
  formula <- one ~ x + z + (x | g) + (1 | h)
  same <- function(a, b) {
    expect_equal(a$criterion, b$criterion - constant, tolerance = 1e-10)
    expect_equal(fixef(a), fixef(b), tolerance = 1e-6)
    expect_equal(a$theta, b$theta, tolerance = 1e-5)
    expect_equal(vcov(a), vcov(b), tolerance = 1e-3)
  }
  same(fits$binomial, quietly(glmm(formula, rows, binomial())))
  cloglog <- function(formula, data) quietly(glmm(formula, data, binomial("cloglog"), nAGQ = 7))
  a <- cloglog(cbind(success, trials - success) ~ x + (1 | g), d)
  b <- cloglog(one ~ x + (1 | g), rows)
  same(a, b)
  # a proportion with the numbers of trials as weights is the two-column response
  a <- quietly(glmm(success / trials ~ x + z + (x | g) + (1 | h), d, binomial(), weights = trials))
  same_fit(a, fits$binomial)
})

test_that("an offset of log exposure is exposure", {
  a <- quietly(glmm(count ~ x + z + offset(log(e)) + (1 | g), d, poisson()))
  b <- quietly(glmm(count ~ x + z + (1 | g), d, poisson(), offset = log(e)))
  same_fit(a, b)
  # twice the exposure with the same counts halves the rate
  twice <- quietly(glmm(count ~ x + z + offset(log(2 * e)) + (1 | g), d, poisson()))
  expect_equal(twice$criterion, a$criterion, tolerance = 1e-10)
  expect_equal(fixef(twice)[[1]], fixef(a)[[1]] - log(2), tolerance = 1e-6)
  expect_equal(fixef(twice)[-1], fixef(a)[-1], tolerance = 1e-6)
  # counts per unit of exposure, weighted by exposure, have the same score
  rate <- suppressWarnings(quietly(
    glmm(I(count / e) ~ x + z + (1 | g), d, poisson(), weights = e)
  ))
  expect_equal(fixef(rate), fixef(a), tolerance = 1e-6)
  expect_equal(rate$theta, a$theta, tolerance = 1e-5)
})

test_that("a binary response may be numbers, logical, a factor or text", {
  fit <- quietly(glmm(binary ~ x + (1 | g), d, binomial()))
  forms <- list(
    logical = d$binary == 1, integer = as.integer(d$binary),
    factor = factor(ifelse(d$binary == 1, "yes", "no"), levels = c("no", "yes")),
    text = ifelse(d$binary == 1, "b", "a"), two = cbind(d$binary, 1 - d$binary)
  )
  for (form in forms) {
    e <- d
    e$y <- form
    same_fit(quietly(glmm(y ~ x + (1 | g), e, binomial())), fit)
  }
})

test_that("failures for successes negate the coefficients of a symmetric link", {
  for (link in c("logit", "probit", "cauchit")) {
    a <- quietly(glmm(cbind(success, trials - success) ~ x + z + (1 | g), d, binomial(link)))
    b <- quietly(glmm(cbind(trials - success, success) ~ x + z + (1 | g), d, binomial(link)))
    expect_equal(a$criterion, b$criterion, tolerance = 1e-9)
    expect_equal(fixef(a), -fixef(b), tolerance = 1e-5)
    expect_equal(a$theta, b$theta, tolerance = 1e-5)
    expect_equal(vcov(a), vcov(b), tolerance = 1e-3)
  }
  a <- quietly(glmm(binary ~ x + (x | g), d, binomial()))
  b <- quietly(glmm(1 - binary ~ x + (x | g), d, binomial()))
  expect_equal(fixef(a), -fixef(b), tolerance = 1e-5)
  expect_equal(VarCorr(a)$g, VarCorr(b)$g, tolerance = 1e-5)
})

test_that("families meet where one is a case of the other", {
  poisson <- quietly(glmm(count ~ x + (1 | g), d, poisson()))
  large <- quietly(glmm(count ~ x + (1 | g), d, nbinom2(size = 1e7)))
  expect_equal(as.numeric(logLik(large)), as.numeric(logLik(poisson)), tolerance = 1e-5)
  expect_equal(fixef(large), fixef(poisson), tolerance = 1e-5)
  # gaussian with the identity link is lmm()
  linear <- quietly(glmm(x ~ z + (1 | g), d, gaussian()))
  same <- quietly(lmm(x ~ z + (1 | g), d, REML = FALSE))
  expect_equal(as.numeric(logLik(linear)), as.numeric(logLik(same)), tolerance = 1e-10)
  # a hurdle is a binary model and a truncated one
  d$some <- as.numeric(d$count > 0)
  hurdle <- quietly(glmm(count ~ x + (1 | g), d, truncated_poisson(), ziformula = ~z))
  zeros <- glm(some ~ z, binomial, d)
  positive <- quietly(glmm(count ~ x + (1 | g), d[d$count > 0, ], truncated_poisson()))
  expect_equal(as.numeric(logLik(hurdle)), as.numeric(logLik(zeros)) + as.numeric(logLik(positive)),
               tolerance = 1e-8)
  expect_equal(fixef(hurdle), fixef(positive), tolerance = 1e-5)
  expect_equal(unname(hurdle$zi$coefficients), -unname(coef(zeros)), tolerance = 1e-5)
})

test_that("the unit of the response does not matter to links that have one", {
  set.seed(12)
  u <- data.frame(g = gl(15, 12), x = rnorm(180))
  mu <- exp(0.4 + 0.2 * u$x + rnorm(15, 0, 0.3)[u$g])
  u$y <- stats::rgamma(180, 4, 4 / mu)
  families <- list(
    Gamma("inverse"), Gamma("identity"), inverse.gaussian("1/mu^2"), gaussian("inverse"),
    t_family()
  )
  for (family in families) {
    one <- quietly(glmm(y ~ x + (1 | g), u, family))
    for (k in c(1e-6, 1e4)) {
      u$scaled <- k * u$y
      other <- quietly(glmm(scaled ~ x + (1 | g), u, family))
      expect_identical(other$convergence$status, "converged")
      expect_equal(other$criterion - 2 * 180 * log(k), one$criterion, tolerance = 1e-7)
      unit <- switch(family$link, identity = k, inverse = 1 / k, "1/mu^2" = 1 / k^2)
      expect_equal(fixef(other) / unit, fixef(one), tolerance = 1e-5)
      expect_equal(sqrt(diag(vcov(other))) / unit, sqrt(diag(vcov(one))), tolerance = 1e-4)
    }
  }
})
