quick <- function(...) suppressMessages(suppressWarnings(...))

# lme4's model at the theta of our fit.
lmer_at <- function(fit, formula, d, ...) {
  parts <- lme4::lFormula(formula, d, ...)
  criterion <- do.call(lme4::mkLmerDevfun, parts)
  theta <- unname(fit$theta)
  opt <- list(par = theta, fval = criterion(theta), conv = 0, message = "")
  call <- as.call(list(quote(lmer), formula = formula, data = d, ...))
  lme4::mkMerMod(environment(criterion), opt, parts$reTrms, parts$fr, mc = call)
}

test_that("corrections are those of clubSandwich", {
  skip_if_not_installed("clubSandwich")
  skip_if_not_installed("lme4")
  d <- small_data()
  d$inner <- interaction(d$g, d$h, drop = TRUE)
  formulas <- list(
    y ~ x + z + (x | g), y ~ 0 + t + (1 | g), y ~ 1 + (1 | g) + (1 | inner), y ~ x + g + (1 | inner)
  )
  for (formula in formulas) {
    fit <- quick(lmm(formula, d))
    reference <- quick(lmer_at(fit, formula, d))
    cluster <- if ("g" %in% names(ranef(fit))) d$g else d$inner
    for (correction in c("CR0", "CR1", "CR1S", "CR2", "CR3")) {
      theirs <- as.matrix(clubSandwich::vcovCR(reference, cluster, type = correction))
      mine <- vcov(fit, type = "sandwich", correction = correction)
      expect_equal(mine, theirs, tolerance = 1e-8, ignore_attr = TRUE)
      expect_equal(dimnames(mine), dimnames(vcov(fit)))
    }
  }
})

test_that("weights, offsets and clusters coarser than the groups", {
  d <- small_data()
  fit <- quick(lmm(y ~ x + offset(o) + (1 | k), d, weights = w))
  V <- matrix(0, 240, 240)
  z <- model.matrix(fit, "random")
  V <- as.matrix(sigma(fit)^2 * diag(1 / d$w) + VarCorr(fit)$k[1] * Matrix::tcrossprod(z))
  W <- solve(V)
  X <- model.matrix(fit)
  r <- d$y - d$o - X %*% fixef(fit)
  bread <- solve(t(X) %*% W %*% X)
  score <- rowsum(X * as.vector(W %*% r), d$g)
  # g is no factor of the model, but k is nested in it.
  expect_equal(vcov(fit, type = "sandwich", cluster = d$g),
               bread %*% crossprod(score) %*% bread, ignore_attr = TRUE)
  expect_equal(partialpool:::cluster_scores(fit, partialpool:::cluster_codes(fit, d$g)), score,
               ignore_attr = TRUE)
  for (correction in c("CR2", "CR3")) {
    root <- t(chol(V))
    meat <- 0
    for (own in split(1:240, d$g)) {
      H <- (X %*% bread %*% t(X) %*% W)[own, own]
      A <- if (correction == "CR3") {
        solve(diag(length(own)) - H)
      } else {
        D <- chol(V[own, own])
        e <- eigen(D %*% (diag(length(own)) - H) %*% V[own, own] %*% t(D), symmetric = TRUE)
        t(D) %*% e$vectors %*% diag(1 / sqrt(e$values)) %*% t(e$vectors) %*% D
      }
      meat <- meat + tcrossprod(t(X[own, ]) %*% solve(V[own, own]) %*% A %*% r[own])
    }
    expect_equal(vcov(fit, type = "sandwich", cluster = d$g, correction = correction),
                 bread %*% meat %*% bread, tolerance = 1e-7, ignore_attr = TRUE)
  }
})

test_that("the clusters are the outermost factor, or what is given", {
  d <- small_data()
  nested <- quick(lmm(y ~ x + (1 | g / h), d))
  robust <- vcov(nested, type = "sandwich")
  expect_equal(vcov(nested, type = "sandwich", cluster = "g"), robust)
  expect_equal(vcov(nested, type = "sandwich", cluster = ~ g), robust)
  expect_equal(vcov(nested, type = "sandwich", cluster = as.character(d$g)), robust)
  crossed <- quick(lmm(y ~ x + (1 | g) + (1 | h), d))
  expect_error(vcov(crossed, type = "sandwich"), class = "partialpool_error_argument")
  expect_true(isSymmetric(vcov(crossed, type = "sandwich", cluster = "h")))
  expect_error(vcov(crossed, type = "sandwich", cluster = "h", correction = "CR2"),
               class = "partialpool_error_argument")
  # Without random effects each row stands for itself: White's covariance.
  plain <- quick(lmm(y ~ x, d))
  m <- stats::lm(y ~ x, d)
  X <- model.matrix(m)
  B <- solve(crossprod(X))
  expect_equal(vcov(plain, type = "sandwich"), B %*% crossprod(X * residuals(m)) %*% B,
               ignore_attr = TRUE)
  # Rows left out.
  d$y[c(3, 50)] <- NA
  fit <- quick(lmm(y ~ x + (1 | g), d))
  expect_equal(vcov(fit, type = "sandwich", cluster = d$g), vcov(fit, type = "sandwich"))
})

test_that("scores of a generalised model are derivatives of each cluster's likelihood", {
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  scores <- partialpool:::cluster_scores(fit, partialpool:::cluster_codes(fit, NULL))
  expect_equal(colSums(scores), 0 * colSums(scores), tolerance = 1e-5)
  # The Laplace approximation of one herd, by hand.
  codes <- fit$random[[1]]$codes
  laplace <- function(par, herd) {
    own <- codes == herd
    eta <- drop(model.matrix(fit)[own, , drop = FALSE] %*% par[-1])
    n <- fit$trials[own]
    y <- round(fit$y[own] * n)
    u <- 0
    for (k in 1:50) {
      p <- plogis(eta + par[1] * u)
      u <- u + (par[1] * sum(y - n * p) - u) / (1 + par[1]^2 * sum(n * p * (1 - p)))
    }
    p <- plogis(eta + par[1] * u)
    sum(dbinom(y, n, p, log = TRUE)) - u^2 / 2 - log(1 + par[1]^2 * sum(n * p * (1 - p))) / 2
  }
  skip_if_not_installed("numDeriv")
  numeric <- t(vapply(1:15, function(herd) {
    numDeriv::grad(laplace, partialpool:::engine_parameters(fit), herd = herd)
  }, numeric(5)))
  expect_equal(scores, numeric, tolerance = 1e-7, ignore_attr = TRUE)

  # The bread is the covariance of the model.
  bread <- partialpool:::criterion_bread(fit)
  expect_equal(bread[-1, -1], vcov(fit), tolerance = 1e-5, ignore_attr = TRUE)
  robust <- bread %*% crossprod(scores) %*% bread
  expect_equal(vcov(fit, type = "sandwich"), robust[-1, -1], ignore_attr = TRUE)
  expect_equal(vcov(fit, type = "sandwich", correction = "CR1"), robust[-1, -1] * 15 / 14,
               ignore_attr = TRUE)
})

test_that("scores of other parts, integrals and families", {
  set.seed(1)
  d <- data.frame(g = rep(1:14, each = 9), x = rnorm(126), v = runif(126, 0.5, 2),
                  between = rep(rnorm(14), each = 9))
  d$inner <- rep(1:42, each = 3)
  d$y <- rnbinom(126, mu = exp(0.8 + 0.4 * d$x + rnorm(14, sd = 0.6)[d$g] +
                                 d$x * rnorm(14, sd = 0.4)[d$g]), size = 2)
  fits <- list(
    quick(glmm(y ~ x + between + (x | g), d, nbinom2(), dispformula = ~ x)),
    quick(glmm(y ~ x + between + (1 | g), d, poisson, ziformula = ~ 1, weights = v)),
    quick(glmm(y ~ x + (1 | g / inner), d, poisson, offset = log(v))),
    quick(glmm(y ~ x + (1 | g), d, poisson, nAGQ = 7)),
    quick(glmm(y ~ x, d, poisson))
  )
  skip_if_not_installed("numDeriv")
  for (fit in fits) {
    cluster <- if (has_random(fit)) "g" else d$g
    codes <- partialpool:::cluster_codes(fit, cluster)
    scores <- partialpool:::cluster_scores(fit, codes)
    expect_lt(max(abs(colSums(scores)) / sqrt(colSums(scores^2))), 1e-4)
    expect_equal(dim(scores), c(14L, length(partialpool:::engine_parameters(fit))))
    expect_true(all(diag(vcov(fit, type = "sandwich", cluster = cluster)) > 0))
    # The likelihood of the third cluster: all rows, those of others without weight.
    rows <- partialpool:::glmm_rows(fit)
    rows$weights <- (if (is.null(rows$weights)) 1 else rows$weights) * (d$g == 3)
    alone <- partialpool:::glmm_create(rows, partialpool:::glmm_model(fit))
    numeric <- numDeriv::grad(function(par) -0.5 * partialpool:::glmm_value(alone, par),
                              partialpool:::engine_parameters(fit))
    expect_equal(scores[3, ], numeric, tolerance = 1e-5, ignore_attr = TRUE)
  }
  disp <- vcov(fits[[1]], component = "disp", type = "sandwich")
  expect_equal(dimnames(disp), dimnames(vcov(fits[[1]], component = "disp")))
  expect_equal(dim(vcov(fits[[2]], component = "zi", type = "sandwich")), c(1L, 1L))
  # Poisson without random effects: the sandwich of glm().
  m <- stats::glm(y ~ x, stats::poisson, d)
  X <- model.matrix(m)
  B <- vcov(m)
  meat <- crossprod(X * (d$y - fitted(m)))
  expect_equal(vcov(fits[[5]], type = "sandwich"), B %*% meat %*% B, tolerance = 1e-6,
               ignore_attr = TRUE)
})

test_that("a singular fit, dropped columns and separation", {
  counts <- transform(Dyestuff2, y = round(pmax(Yield, 0) + 5))
  zero <- quick(glmm(y ~ 1 + (1 | Batch), counts, poisson))
  expect_true(is_singular(zero))
  expect_true(is.finite(vcov(zero, type = "sandwich")))
  gaussian <- quick(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_true(is.finite(vcov(gaussian, type = "sandwich", correction = "CR2")))
  d <- transform(cbpp, twice = 2 * (period == "2"))
  aliased <- quick(glmm(cbind(incidence, size - incidence) ~ period + twice + (1 | herd), d,
                        binomial))
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  expect_equal(vcov(aliased, type = "sandwich"), vcov(fit, type = "sandwich"), tolerance = 1e-6)
  # A coefficient that runs to infinity; the rows of x = 0 say all about the other.
  s <- data.frame(g = rep(1:8, each = 5), x = rep(0:1, 20))
  set.seed(1)
  s$y <- ifelse(s$x == 1, 1, rbinom(40, 1, 0.5))
  apart <- quick(glmm(y ~ x + (1 | g), s, binomial))
  m <- stats::glm(y ~ 1, stats::binomial, s, subset = x == 0)
  score <- rowsum(s$y[s$x == 0] - fitted(m), s$g[s$x == 0])
  expect_equal(vcov(apart, type = "sandwich")[1, 1], sum(score^2) * vcov(m)[1, 1]^2,
               tolerance = 1e-4)
  expect_true(is.na(vcov(apart, type = "sandwich")[2, 2]))
})

test_that("arguments are checked", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  binary <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  bad <- function(...) expect_error(vcov(...), class = "partialpool_error_argument")
  bad(fit, type = "robust")
  bad(fit, type = "sandwich", full = TRUE)
  bad(fit, type = "sandwich", cluster = "subject")
  bad(fit, type = "sandwich", cluster = ~ subject)
  bad(fit, type = "sandwich", cluster = 1:3)
  bad(fit, type = "sandwich", cluster = rep(1, 180))
  bad(fit, type = "sandwich", cluster = c(NA, 2:180))
  bad(fit, type = "sandwich", correction = "CR9")
  bad(fit, cluster = "Subject")
  bad(binary, type = "sandwich", correction = "CR2")
  bad(binary, type = "sandwich", cluster = "period")
  bad(quick(update(binary, nAGQ = 0)), type = "sandwich")
  bad(quick(update(binary, REML = TRUE)), type = "sandwich")
  bad(quick(update(binary, method = "pql")), type = "sandwich")
  expect_equal(vcov(fit, type = "model"), vcov(fit))
})
