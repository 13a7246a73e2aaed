# Expectation propagation in formulas. tests/cpp/test_ep.cpp holds it against its definition.

ep <- function(...) suppressMessages(glmm(..., method = "ep"))

clusters <- function(size = 3, groups = 100) {
  y <- withr::with_seed(9, {
    g <- rep(seq_len(groups), each = size)
    rbinom(groups * size, 1, plogis(1.5 * rnorm(groups)[g]))
  })
  data.frame(y = y, g = factor(rep(seq_len(groups), each = size)))
}

# Nodes and weights for the standard normal distribution (Golub & Welsch 1969).
gauss_hermite <- function(n) {
  k <- seq_len(n - 1)
  m <- matrix(0, n, n)
  m[cbind(k, k + 1)] <- m[cbind(k + 1, k)] <- sqrt(k)
  e <- eigen(m, symmetric = TRUE)
  list(x = e$values, w = e$vectors[1, ]^2)
}

log_likelihood <- function(design, par, ...) -0.5 * objective(design, ...)$value(par)

test_that("its error on clusters of three, beside the Laplace approximation's", {
  d <- design(y ~ 1 + (1 | g), clusters(), family = binomial())
  theta <- c(0.5, 1, 2, 4)
  error <- function(...) {
    vapply(theta, function(t) {
      log_likelihood(d, c(t, 0), ...) - log_likelihood(d, c(t, 0), nAGQ = 201L)
    }, 0)
  }
  expect_equal(round(error(method = "ep"), 4), c(-0.0005, -0.0360, -0.5021, -2.1347))
  expect_equal(round(error(nAGQ = 1L), 2), c(-0.19, -1.14, -3.25, -6.26))
})

test_that("crossed effects: near to integration over all of them where Laplace is not", {
  d <- withr::with_seed(4, expand.grid(a = factor(1:2), b = factor(1:2), k = 1:2))
  d$y <- c(1, 0, 1, 1, 1, 0, 0, 1)
  theta <- c(1.2, 0.8)
  beta <- 0.3
  nodes <- gauss_hermite(21)
  grid <- as.matrix(expand.grid(rep(list(seq_along(nodes$x)), 4)))
  u <- matrix(nodes$x[grid], nrow(grid))
  log_weight <- rowSums(matrix(log(nodes$w)[grid], nrow(grid)))
  log_density <- 0
  for (i in seq_len(nrow(d))) {
    eta <- beta + theta[1] * u[, d$a[i]] + theta[2] * u[, 2 + as.integer(d$b[i])]
    log_density <- log_density + plogis(eta * (2 * d$y[i] - 1), log.p = TRUE)
  }
  exact <- log(sum(exp(log_weight + log_density)))
  design <- design(y ~ 1 + (1 | a) + (1 | b), d, family = binomial())
  f <- objective(design, method = "ep")
  expect_identical(f$names[1:2], c("a.(Intercept)", "b.(Intercept)"))
  by_ep <- -0.5 * f$value(c(theta, beta))
  by_laplace <- log_likelihood(design, c(theta, beta))
  expect_lt(abs(by_ep - exact), 0.01)
  expect_lt(abs(by_ep - exact), 0.1 * abs(by_laplace - exact))
})

test_that("the estimates are nearer to those of quadrature with many nodes than Laplace's", {
  for (data in list(clusters(3, 100), clusters(5, 60), clusters(10, 30))) {
    by_ep <- ep(y ~ 1 + (1 | g), data, binomial())
    exact <- suppressMessages(glmm(y ~ 1 + (1 | g), data, binomial(), nAGQ = 51))
    laplace <- suppressMessages(glmm(y ~ 1 + (1 | g), data, binomial()))
    expect_nearer <- function(what) {
      expect_lt(abs(what(by_ep) - what(exact)), 0.6 * abs(what(laplace) - what(exact)))
    }
    expect_nearer(function(fit) fit$theta[[1]])
    expect_nearer(function(fit) sqrt(vcov(fit)[1, 1]))
    expect_nearer(function(fit) as.numeric(logLik(fit)))
    expect_equal(ranef(by_ep)$g, ranef(exact)$g, tolerance = 0.1, ignore_attr = TRUE)
  }
})

test_that("gradient and covariance of all parameters are derivatives of its value", {
  skip_if_not_installed("numDeriv")
  d <- clusters(6, 20)
  d$x <- withr::with_seed(2, rnorm(nrow(d)))
  d$h <- factor(rep(1:4, 30))
  f <- objective(design(y ~ x + (x | g) + (1 | h), d, family = binomial()), method = "ep")
  par <- c(0.7, 0.3, 0.5, 0.4, 0.2, -0.1)
  expect_equal(unname(f$gradient(par)), numDeriv::grad(f$value, par), tolerance = 1e-6)

  # The Hessian is taken where the search ends but for its last step: so sharp that it does not show
  fit <- ep(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(),
            control = pp_control(tolerance = 1e-12))
  f <- objective(design(formula(fit), cbpp, family = binomial()), method = "ep")
  by_theta <- 2 * solve(numDeriv::jacobian(f$gradient, c(fit$theta, fixef(fit))))
  expect_equal(vcov(fit), by_theta[-1, -1], tolerance = 1e-5, ignore_attr = TRUE)
  natural <- 4 * fit$theta^2 * by_theta[1, 1]
  expect_equal(vcov(fit, full = TRUE)[5, 5], unname(natural), tolerance = 1e-5)
})

test_that("weights are repeated rows, and rows and labels can be in any order", {
  d <- clusters(6, 20)
  d$x <- withr::with_seed(2, rnorm(nrow(d)))
  fit <- ep(y ~ x + (1 | g), d, binomial())
  again <- d[withr::with_seed(1, sample(nrow(d))), ]
  again$g <- factor(again$g, labels = paste0("level", 20:1))
  permuted <- ep(y ~ x + (1 | g), again, binomial())
  expect_equal(logLik(permuted), logLik(fit), tolerance = 1e-10, ignore_attr = TRUE)
  expect_equal(vcov(permuted), vcov(fit), tolerance = 1e-6)

  # Two successes of two trials in one row are not the same integral as two rows, but nearly.
  cases <- aggregate(cbind(y, n = 1) ~ g, d, sum)
  trials <- ep(cbind(y, n - y) ~ 1 + (1 | g), cases, binomial())
  rows <- ep(y ~ 1 + (1 | g), d, binomial())
  exact <- suppressMessages(glmm(cbind(y, n - y) ~ 1 + (1 | g), cases, binomial(), nAGQ = 51))
  expect_equal(trials$theta, exact$theta, tolerance = 1e-6)
  expect_equal(rows$theta, exact$theta, tolerance = 0.02)
})

test_that("one row a level: it is exact, also with an observation-level effect", {
  fit <- ep(TICKS ~ YEAR + (1 | INDEX), grouseticks, poisson())
  exact <- suppressMessages(glmm(TICKS ~ YEAR + (1 | INDEX), grouseticks, poisson(), nAGQ = 101))
  expect_equal(logLik(fit), logLik(exact), tolerance = 1e-9, ignore_attr = TRUE)
  expect_equal(fixef(fit), fixef(exact), tolerance = 1e-6)
  expect_equal(vcov(fit), vcov(exact), tolerance = 1e-4)
})

test_that("a variance of zero leaves the likelihood of glm()", {
  d <- data.frame(y = rep(c(1, 4, 2, 5, 3), 12), g = factor(rep(1:12, each = 5)))
  fit <- NULL
  expect_message(
    fit <- glmm(y ~ 1 + (1 | g), d, poisson(), method = "ep"),
    class = "partialpool_message_singular"
  )
  expect_equal(fit$theta[[1]], 0)
  expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(glm(y ~ 1, poisson, d))),
               tolerance = 1e-10)
  plain <- suppressMessages(glmm(y ~ 1, d, poisson(), method = "ep"))
  expect_equal(as.numeric(logLik(plain)), as.numeric(logLik(fit)), tolerance = 1e-10)
})

test_that("families with a dispersion, a shape or extra zeros", {
  d <- withr::with_seed(2, {
    g <- factor(rep(1:25, 6))
    x <- rnorm(150)
    mu <- exp(0.3 + 0.4 * x + 0.7 * rnorm(25)[g])
    data.frame(g, x, count = rnbinom(150, mu = mu, size = 2), time = rgamma(150, 2, 2 / mu))
  })
  models <- list(
    list(count ~ x + (1 | g), nbinom2(), NULL), list(time ~ x + (1 | g), Gamma("log"), NULL),
    list(count ~ x + (1 | g), poisson(), ~ 1)
  )
  for (m in models) {
    fit <- ep(m[[1]], d, m[[2]], ziformula = m[[3]])
    exact <- suppressMessages(glmm(m[[1]], d, m[[2]], ziformula = m[[3]], nAGQ = 31))
    expect_identical(fit$convergence$status, "converged")
    expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(exact)), tolerance = 5e-4)
    expect_equal(fit$theta, exact$theta, tolerance = 0.01)
    expect_equal(fit$dispersion$coefficients, exact$dispersion$coefficients, tolerance = 0.02)
    expect_equal(fit$zi$coefficients, exact$zi$coefficients, tolerance = 0.02)
  }
})

test_that("separated data: named, and tamed by a prior", {
  d <- data.frame(y = rep(0:1, each = 10), x = rep(0:1, each = 10), g = factor(rep(1:5, 4)))
  expect_warning(
    suppressMessages(glmm(y ~ x + (1 | g), d, binomial(), method = "ep")),
    class = "partialpool_warning_separation"
  )
  fit <- ep(y ~ x + (1 | g), d, binomial(), prior = normal_prior(sd = 2.5))
  expect_identical(fit$convergence$status, "converged")
  expect_true(all(is.finite(vcov(fit))))
})

test_that("every method of a fit works", {
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(),
              method = "ep")
  expect_output(print(fit), "by maximum likelihood (expectation propagation)", fixed = TRUE)
  expect_output(print(summary(fit)), "expectation propagation")
  expect_s3_class(anova(fit, update(fit, . ~ . - period)), "anova")
  expect_length(predict(fit, cbpp, type = "response", se.fit = TRUE)$se.fit, 56)
  expect_equal(dim(simulate(fit, 3, seed = 1)), c(56, 3))
  expect_equal(max(abs(gradient(fit))), 0, tolerance = 1e-5)
  expect_true(all(attr(ranef(fit, condVar = TRUE)$herd, "postVar") > 0))
  again <- refit(fit, cbind(cbpp$incidence, cbpp$size - cbpp$incidence))
  expect_equal(logLik(again), logLik(fit), tolerance = 1e-12)
  expect_identical(update(fit, method = "laplace")$method, "laplace")
  z <- components(fit)
  expect_equal(as.vector(z$Z %*% ranef(fit)$herd[[1]] + model.matrix(fit) %*% fixef(fit)),
               unname(predict(fit, type = "link")), tolerance = 1e-10)
})

test_that("what it cannot do is said by a typed error", {
  expect_error(
    glmm(incidence ~ 1 + (1 | herd), cbpp, poisson(), method = "ep", REML = TRUE),
    class = "partialpool_error_argument"
  )
  expect_error(
    glmm(incidence ~ 1 + (1 | herd), cbpp, poisson(), method = "ep", nAGQ = 5),
    class = "partialpool_error_argument"
  )
})

test_that("the note on a doubtful Laplace approximation names it", {
  d <- withr::with_seed(1, {
    g <- rep(1:150, each = 2)
    h <- rep_len(1:15, 300)
    data.frame(g, h, y = rbinom(300, 1, plogis(3 * rnorm(150)[g] + rnorm(15)[h])))
  })
  expect_message(suppressWarnings(glmm(y ~ 1 + (1 | g) + (1 | h), d, binomial())),
                 "method = \"ep\"", class = "partialpool_message_laplace")
})
