# Likelihood profiles: each point is a constrained optimum, checked by other engines and by itself.

half <- function(fit, ...) as.data.frame(profile(fit, ...))

test_that("the points of a profile are optima: independent search over the other parameters", {
  set.seed(3)
  d <- data.frame(g = gl(8, 5), x = rep(0:4, 8))
  d$y <- 1 + d$x + rnorm(8)[d$g] * (1 + 0.5 * d$x) + rnorm(40)
  fit <- lmm(y ~ x + (x | g), d, REML = FALSE)
  f <- objective(design(y ~ x + (x | g), d), REML = FALSE)
  constrained <- function(rho) {
    D <- function(p) f$value(c(exp(p[1]), exp(p[2]) * c(rho, sqrt(1 - rho^2))))
    starts <- list(c(0, -1), c(-1, 0), c(0, 0), c(-4, -1))
    min(vapply(starts, function(s) {
      stats::nlminb(s, D, control = list(rel.tol = 1e-14, eval.max = 1e3, iter.max = 1e3))$objective
    }, 0))
  }
  path <- half(fit, "cor_x.(Intercept)|g")
  path <- path[abs(path$value) < 1, ]
  expect_equal(path$deviance, vapply(path$value, constrained, 0), tolerance = 1e-10)
  expect_equal(path$zeta^2, path$deviance - min(path$deviance), tolerance = 1e-9)

  # A fixed effect: the same model with its part taken out of the response.
  path <- half(fit, "x", level = 0.9)
  for (i in c(1L, 4L, nrow(path))) {
    d$rest <- d$y - path$value[i] * d$x
    other <- lmm(rest ~ 1 + (x | g), d, REML = FALSE)
    expect_equal(path$deviance[i], deviance(other), tolerance = 1e-10)
  }
})

test_that("natural parameters along a path give its deviance, and nothing better is near", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
  X <- fit$X
  Z <- as.matrix(model.matrix(fit, "random"))
  deviance_at <- function(p) {
    S <- diag(p[c(1, 3)]^2)
    S[2:1, 1:2][1, 1] <- S[1, 2] <- S[2, 1] <- p[1] * p[2] * p[3]
    V <- Z %*% kronecker(diag(18), S) %*% t(Z) + diag(p[4]^2, 180)
    R <- chol(V)
    e <- backsolve(R, fit$y - X %*% p[5:6], transpose = TRUE)
    180 * log(2 * pi) + 2 * sum(log(diag(R))) + sum(e^2)
  }
  pr <- profile(fit, level = 0.95)
  ends <- !duplicated(pr$parameter) | !duplicated(pr$parameter, fromLast = TRUE)
  natural <- as.matrix(as.data.frame(pr)[6:11])
  scale <- c(6, 0.3, 1.3, 1.5, 7, 1.5)
  for (i in which(ends)) {
    at <- natural[i, ]
    held <- as.integer(pr$parameter[i])
    expect_equal(at[[held]], pr$value[i], tolerance = 1e-12)
    expect_equal(deviance_at(at), pr$deviance[i], tolerance = 1e-11)
    slope <- vapply(seq_along(at), function(k) {
      h <- replace(numeric(6), k, 1e-4 * scale[k])
      (deviance_at(at + h) - deviance_at(at - h)) / 2e-4
    }, 0)
    expect_lt(max(abs(slope[-held])), 2e-5)
    expect_equal(slope[held] / scale[held] / (2 * pr$zeta[i]), pr$slope[i], tolerance = 1e-5)
  }
})

test_that("all structures, kernels, weights and offsets: exact slopes lead to the right level", {
  set.seed(5)
  d <- data.frame(g = gl(12, 6), x = rnorm(72), t = factor(rep(1:3, 24)), w = runif(72, 0.5, 2))
  d$y <- d$x + rnorm(12)[d$g] + rnorm(12, 0, 0.7)[d$g] * d$x + rnorm(72)
  K <- 0.6^abs(outer(1:12, 1:12, "-"))
  dimnames(K) <- list(levels(d$g), levels(d$g))
  formulas <- list(
    y ~ x + (x || g), y ~ x + cs(x | g), y ~ x + cs(x | g, hom = TRUE), y ~ x + ar1(0 + t | g),
    y ~ x + hetar1(0 + t | g), y ~ x + diag(x | g, hom = TRUE), y ~ 0 + (1 | g)
  )
  for (formula in formulas) {
    fit <- suppressWarnings(quietly(
      lmm(formula, d, REML = FALSE, weights = w, offset = rep(1, 72))
    ))
    expect_exact_slopes(suppressWarnings(quietly(profile(fit, level = 0.8))))
  }
  expect_exact_slopes(profile(lmm(y ~ x + (1 | g), d, kernel = list(g = K)), level = 0.8))
})

test_that("generalised models by every integral: exact slopes", {
  set.seed(6)
  d <- data.frame(g = gl(15, 8), x = rnorm(120))
  eta <- 0.5 + 0.4 * d$x + rnorm(15, 0, 0.8)[d$g] + rnorm(15, 0, 0.5)[d$g] * d$x
  d$b <- rbinom(120, 1, plogis(eta))
  d$p <- rpois(120, exp(eta))
  d$a <- rgamma(120, 2, 2 / exp(eta)) * rbinom(120, 1, 0.8)
  expect_exact_slopes(quietly(profile(glmm(p ~ x + (x | g), d, poisson), level = 0.8)))
  expect_exact_slopes(quietly(profile(glmm(p ~ x + (x | g), d, poisson, nAGQ = 5), level = 0.8)))
  expect_exact_slopes(
    quietly(profile(glmm(b ~ x + (1 | g), d, binomial, method = "ep"), level = 0.8)), 1e-3
  )
  expect_exact_slopes(profile(glmm(a ~ x + (1 | g), d, tweedie()), level = 0.8))
  expect_exact_slopes(quietly(profile(glmm(p ~ x + (1 | g), d, nbinom2()), level = 0.5)))
})

test_that("a quadrature in three dimensions holds any correlation", {
  set.seed(7)
  d <- data.frame(g = gl(12, 8), x = rnorm(96), z = rnorm(96))
  d$y <- rpois(96, exp(0.5 + rnorm(12, 0, 0.6)[d$g] + rnorm(12, 0, 0.5)[d$g] * d$x +
                         rnorm(12, 0, 0.5)[d$g] * d$z))
  fit <- quietly(glmm(y ~ 1 + (x + z | g), d, poisson, nAGQ = 3))
  skip_if(is_singular(fit))
  names <- c("sd_z|g", "cor_z.x|g")
  expect_exact_slopes(quietly(profile(fit, names, level = 0.3, delta = 0.2)))
})

test_that("Laplace profiles of a glmm are those of lme4", {
  skip_if_not_installed("lme4")
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  reference <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp,
                           family = binomial)
  f <- update(reference, devFunOnly = TRUE)
  path <- half(fit, "sd_(Intercept)|herd", level = 0.9)
  for (i in c(1L, nrow(path))) {
    free <- stats::nlminb(unlist(path[i, 7:10]), function(b) f(c(path$value[i], b)),
                          control = list(rel.tol = 1e-13))
    expect_equal(free$objective, path$deviance[i], tolerance = 1e-6)
  }
})

test_that("units of predictor and response and names of groups do not matter", {
  d <- sleepstudy
  d$hours <- d$Days * 24 - 3
  d$seconds <- d$Reaction / 1000
  d$id <- factor(rev(as.integer(d$Subject)))
  one <- confint(lmm(Reaction ~ Days + (Days | Subject), d))
  two <- confint(lmm(seconds ~ Days + (Days | Subject), d[180:1, ]))
  expect_equal(unname(two[c(1, 3:6), ]), unname(one[c(1, 3:6), ]) / 1000, tolerance = 1e-6)
  expect_equal(two[2, ], one[2, ], tolerance = 1e-6)
  three <- confint(lmm(Reaction ~ hours + (1 | id), d))
  four <- confint(lmm(Reaction ~ Days + (1 | id), d))
  expect_equal(24 * three[4, ], four[4, ], tolerance = 1e-6)
  expect_equal(three[1:2, ], four[1:2, ], tolerance = 1e-6)
})

test_that("variances and covariances have profiles of their own", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  sds <- confint(fit, "theta_")
  pr <- profile(fit, scale = "varcov")
  expect_identical(levels(pr$parameter)[1:4], c(
    "var_(Intercept)|Subject", "cov_Days.(Intercept)|Subject", "var_Days|Subject", "sigma^2"
  ))
  expect_equal(unname(confint(pr)[c(1, 3, 4), ]), unname(sds[c(1, 3, 4), ]^2), tolerance = 2e-5)
  path <- half(fit, "cov_Days.(Intercept)|Subject", scale = "varcov")
  product <- path[["sd_(Intercept)|Subject"]] * path[["sd_Days|Subject"]]
  expect_equal(product * path[["cor_Days.(Intercept)|Subject"]], path$value, tolerance = 1e-10)
})

test_that("a lower deviance than that of the fit is moved to", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
  f <- objective(design_of(fit), REML = FALSE)
  worse <- fit
  theta <- fit$theta * c(1.5, 1, 0.6)
  at <- engine_estimates(f$engine, theta)
  worse$theta[] <- theta
  worse[c("criterion", "sigma")] <- at[c("criterion", "sigma")]
  worse$Lambda[[1]][] <- at$Lambda[[1]]
  expect_warning(found <- confint(worse, "theta_"), class = "partialpool_warning_fit")
  expect_equal(found, confint(fit, "theta_"), tolerance = 1e-6)
})

test_that("a correlation whose variance is zero has no profile", {
  set.seed(6)
  d <- data.frame(g = gl(8, 5), x = rep(-2:2, 8), y = rnorm(40))
  fit <- quietly(lmm(y ~ x + (x | g), d))
  expect_identical(unname(natural_parameters(fit)[1:3]), c(0, NaN, 0))
  expect_message(found <- confint(fit), class = "partialpool_message_singular")
  expect_true(all(is.na(found[2, ])) && all(is.finite(found[-2, ])))
})

test_that("fits without a likelihood of all parameters are refused", {
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  fits <- list(
    glmm(formula, cbpp, binomial, nAGQ = 0), glmm(formula, cbpp, binomial, method = "pql"),
    glmm(formula, cbpp, binomial, REML = TRUE)
  )
  for (fit in fits) {
    expect_error(profile(fit), class = "partialpool_error_argument")
    expect_error(confint(fit, method = "profile"), class = "partialpool_error_argument")
    expect_identical(dim(confint(fit)), c(5L, 2L))
  }
})

test_that("a kernel fit has no profile here", {
  set.seed(1)
  fit <- quietly(kernel_lmm(rnorm(30), kernel = tcrossprod(matrix(rnorm(150), 30))))
  expect_error(profile(fit), class = "partialpool_error_argument")
})

test_that("bad arguments are named", {
  fit <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff)
  expect_error(profile(fit, "nobody"), class = "partialpool_error_argument")
  expect_error(profile(fit, 7), class = "partialpool_error_argument")
  expect_error(profile(fit, level = 1), class = "partialpool_error_argument")
  expect_error(profile(fit, delta = -1), class = "partialpool_error_argument")
  expect_error(profile(fit, maxpts = 0), class = "partialpool_error_argument")
  expect_error(profile(fit, lvl = 0.9), class = "partialpool_error_argument")
})

test_that("print, summary, as.data.frame and plot", {
  pr <- profile(lmm(Yield ~ 1 + (1 | Batch), Dyestuff, REML = FALSE), progress = FALSE)
  expect_output(print(pr), "sd_\\(Intercept\\)\\|Batch +37")
  expect_identical(class(as.data.frame(pr)), "data.frame")
  expect_named(summary(pr), c("estimate", "2.5 %", "97.5 %", "skew", "points"))
  expect_named(attr(pr, "estimates"), levels(pr$parameter))
  expect_identical(unname(attr(pr, "type")), c("sd", "sigma", "fixed"))
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file)
  for (type in c("zeta", "abs", "density")) expect_identical(plot(pr, type), pr)
  grDevices::dev.off()
  expect_error(plot(pr, parm = "x"), class = "partialpool_error_argument")
  expect_output(profile(lmm(Yield ~ 1 + (1 | Batch), Dyestuff), "sigma", progress = TRUE),
                "profile of sigma")
})

test_that("a profile that reaches no level can be drawn", {
  fit <- suppressWarnings(quietly(lmm(Reaction ~ Days + (Days | Subject), sleepstudy[1:20, ])))
  found <- suppressWarnings(quietly(profile(fit)))
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_silent(plot(found))
})

test_that("a likelihood that is flat down to no residual variance ends at zero", {
  set.seed(1)
  d <- data.frame(g = gl(15, 8), t = factor(rep(1:8, 15)), x = rnorm(120))
  d$y <- 1 + d$x + c(replicate(15, as.numeric(stats::arima.sim(list(ar = 0.7), 8))))
  fit <- suppressWarnings(quietly(lmm(y ~ x + ar1(0 + t | g, hom = TRUE), d, REML = FALSE)))
  limits <- suppressWarnings(quietly(confint(fit, "sigma")))
  expect_true(limits[1] >= 0 && limits[2] > limits[1] && is.finite(limits[2]))
})

test_that("the power of a Tweedie family stays between one and two", {
  set.seed(1)
  d <- data.frame(g = gl(20, 8), x = rnorm(160))
  d$y <- rgamma(160, 3, 3 / exp(0.5 + 0.4 * d$x + rnorm(20, 0, 0.5)[d$g]))
  fit <- quietly(glmm(y ~ x + (1 | g), d, tweedie()))
  limits <- suppressWarnings(quietly(confint(fit, "shape")))
  expect_true(limits[1] > 1 && limits[1] < fit$shape && limits[2] > fit$shape && limits[2] < 2)
})
