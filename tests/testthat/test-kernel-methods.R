posterior_by_inverse <- function(prior, tau) solve(solve(prior) + diag(tau))

test_that("prior and posterior of z are those of dense algebra", {
  d <- kernel_data()
  for (fit in list(noise_fit(d), poisson_ep_fit(d), binomial_ep_fit(d))) {
    v <- kernel_variances(fit)
    prior <- latent(fit, "prior")
    expect_equal(prior$covariance, v[["v0"]] * d$K + v[["v1"]] * diag(d$n), tolerance = 1e-12)
    expect_equal(prior$mean, drop(d$X %*% fit$coefficients), ignore_attr = TRUE)
    expect_identical(names(prior$mean), rownames(d$K))
    post <- latent(fit)
    S <- posterior_by_inverse(prior$covariance, fit$sites$tau)
    expect_equal(post$covariance, S, tolerance = 1e-10, ignore_attr = TRUE)
    expect_identical(dimnames(post$covariance), dimnames(d$K))
    expect_equal(post$mean, drop(S %*% (fit$sites$nu + solve(prior$covariance, prior$mean))),
      tolerance = 1e-10, ignore_attr = TRUE
    )
    expect_identical(latent(fit, covariance = FALSE), post["mean"])
  }
})

test_that("the posterior by expectation propagation has the fit's own moments", {
  fit <- poisson_ep_fit()
  post <- latent(fit)
  expect_equal(unname(post$mean), fit$posterior$mean, tolerance = 1e-9)
  expect_equal(unname(diag(post$covariance)), fit$posterior$variance, tolerance = 1e-9)
})

test_that("sites of no or negative precision, and known noise without sites, are no exception", {
  fit <- noise_fit()
  stated <- latent(fit)
  fit$sites <- NULL
  expect_identical(latent(fit), stated)
  fit <- poisson_ep_fit()
  prior <- latent(fit, "prior")
  for (tau1 in c(0, -0.05, 1e-12)) {
    fit$sites$tau[1] <- tau1
    S <- posterior_by_inverse(prior$covariance, fit$sites$tau)
    post <- latent(fit)
    expect_equal(post$covariance, S, tolerance = 1e-10, ignore_attr = TRUE)
    expect_equal(post$mean, drop(S %*% (fit$sites$nu + solve(prior$covariance, prior$mean))),
      tolerance = 1e-10, ignore_attr = TRUE
    )
  }
  # Precise sites: the mean is theirs to all digits, which a difference of large numbers loses.
  fit$sites <- list(tau = rep(1e14, fit$n), nu = 1e14 * seq_len(fit$n))
  expect_equal(unname(latent(fit)$mean), seq_len(fit$n), tolerance = 1e-13)
})

test_that("the latent value of a normal response is the best linear unbiased predictor", {
  d <- kernel_data()
  fit <- spectral_fit(d)
  K <- 1.4 * d$K
  V <- K + 0.6 * diag(d$n)
  o <- drop(d$X %*% fit$coefficients)
  post <- latent(fit)
  expect_equal(post$mean, o + drop(K %*% solve(V, d$normal - o)), tolerance = 1e-10,
    ignore_attr = TRUE)
  expect_equal(post$covariance, K - K %*% solve(V, K), tolerance = 1e-10, ignore_attr = TRUE)
  expect_equal(latent(fit, "prior")$covariance, K, tolerance = 1e-12)
  expect_equal(fitted(fit), post$mean)
  expect_equal(residuals(fit), d$normal - post$mean)
  # Sum of residuals weighted by the inverse: the normal equations.
  expect_equal(drop(crossprod(d$X, solve(V, d$normal - o))), c(0, 0), tolerance = 1e-9,
    ignore_attr = TRUE)
})

test_that("a kernel of low rank, no kernel and no residual are limits", {
  d <- kernel_data()
  low <- tcrossprod(cbind(sin(1:14), cos(1:14)))
  fit <- spectral_fit(d, kernel = low)
  o <- drop(d$X %*% fit$coefficients)
  V <- 1.4 * low + 0.6 * diag(d$n)
  expect_equal(unname(latent(fit)$mean), unname(o + drop(1.4 * low %*% solve(V, d$normal - o))),
    tolerance = 1e-10)
  fit <- spectral_fit(d, delta = 0)
  expect_equal(latent(fit)$mean, d$normal, tolerance = 1e-10)
  expect_equal(max(abs(latent(fit)$covariance)), 0)
  fit <- spectral_fit(d, delta = 1, kernel = NULL)
  expect_equal(unname(latent(fit)$mean), unname(drop(d$X %*% fit$coefficients)))
  expect_equal(unname(coef(fit)), unname(coef(lm(d$normal ~ d$X[, 2]))), tolerance = 1e-10)
})

test_that("new samples are predicted as by the joint normal distribution", {
  d <- kernel_data(17)
  old <- 1:14
  part <- kernel_data(17)
  vectors <- c("count", "yes", "trials", "successes", "normal", "z")
  part[vectors] <- lapply(d[vectors], `[`, old)
  part$n <- 14L
  part$K <- d$K[old, old]
  part$X <- d$X[old, ]
  for (fit in list(noise_fit(part), poisson_ep_fit(part), spectral_fit(part))) {
    v <- kernel_variances(fit)
    spectral <- fit$model == "spectral"
    own <- if (spectral) 0 else v[["v1"]]
    prior <- v[["v0"]] * d$K + own * diag(17)
    # The rows seen through their sites.
    seen <- fit$sites
    if (spectral) seen <- list(tau = rep(1 / v[["v1"]], 14), nu = d$normal[old] / v[["v1"]])
    tau <- c(seen$tau, 0, 0, 0)
    S <- posterior_by_inverse(prior, tau)
    o <- drop(d$X %*% fit$coefficients)
    m <- drop(S %*% (c(seen$nu, 0, 0, 0) + solve(prior, o)))
    got <- predict(fit, d$X[-old, ], d$K[-old, old], diag(d$K)[-old], se.fit = TRUE)
    expect_equal(got$fit, m[-old], tolerance = 1e-10, ignore_attr = TRUE)
    expect_equal(got$se.fit, sqrt(diag(S))[-old], tolerance = 1e-9, ignore_attr = TRUE)
    expect_identical(names(got$fit), rownames(d$K)[-old])
    # By name, in any order, one at a time, with superfluous columns.
    mixed <- d$K[15, sample(17), drop = FALSE]
    expect_equal(predict(fit, d$X[15, , drop = FALSE], mixed), got$fit[1])
    expect_equal(unname(predict(fit, d$X[15, 2:1, drop = FALSE], unname(d$K[15, old]))),
      unname(got$fit[1]))
    # The rows of the fit as if they were new.
    if (spectral) {
      again <- predict(fit, part$X, part$K, 1, se.fit = TRUE)
      expect_equal(again, predict(fit, se.fit = TRUE), tolerance = 1e-9)
    }
    # A column without a name is the one that it was in the fit.
    bare <- fit
    names(bare$coefficients)[1] <- colnames(bare$X)[1] <- bare$column_names[1] <- "x1"
    half <- `colnames<-`(d$X, c("", "x"))
    expect_equal(predict(bare, half[-old, ], d$K[-old, old]), got$fit)
    # Unrelated samples have the mean and variance of the population.
    far <- predict(fit, d$X[15:16, ], k_new = 1, se.fit = TRUE)
    expect_equal(unname(far$fit), unname(o[15:16]))
    expect_equal(unname(far$se.fit), sqrt(rep(v[["v0"]] + own, 2)))
  }
})

test_that("the variance of the fixed effects can be added", {
  d <- kernel_data()
  fit <- spectral_fit(d)
  Ka <- 1.4 * unname(d$K)
  V <- Ka + 0.6 * diag(d$n)
  # Henderson: the equations of the mixed model, inverted.
  L <- t(chol(Ka))
  W <- cbind(d$X, L)
  C <- solve(crossprod(W) / 0.6 + diag(c(0, 0, rep(1, d$n))))
  expect_equal(unname(predict(fit, se.fit = TRUE, beta_known = FALSE)$se.fit),
    sqrt(rowSums((W %*% C) * W)), tolerance = 1e-9)
  expect_equal(unname(predict(fit, d$X, d$K, 1, se.fit = TRUE, beta_known = FALSE)$se.fit),
    sqrt(rowSums((W %*% C) * W)), tolerance = 1e-8)
  noise <- noise_fit(d)
  big <- predict(noise, d$X, d$K, 1, se.fit = TRUE, beta_known = FALSE)$se.fit
  expect_true(all(big > predict(noise, d$X, d$K, 1, se.fit = TRUE)$se.fit))
  expect_true(all(predict(noise, se.fit = TRUE, beta_known = FALSE)$se.fit >
    predict(noise, se.fit = TRUE)$se.fit))
})

test_that("an offset of the fit has to be given for new samples", {
  d <- kernel_data()
  fit <- poisson_ep_fit(d, offset = 0.7)
  expect_error(predict(fit, d$X, d$K), class = "partialpool_error_offset")
  at <- predict(fit, d$X, d$K, offset = 0)
  expect_equal(predict(fit, d$X, d$K, offset = 0.5), at + 0.5)
  expect_equal(predict(fit, d$X, d$K, offset = 1:14 / 10), at + 1:14 / 10)
  expect_equal(unname(latent(fit, "prior")$mean), unname(drop(d$X %*% c(0.3, 0.5))) + 0.7)
})

test_that("new samples that do not fit are refused by name", {
  d <- kernel_data()
  fit <- noise_fit(d)
  bad <- function(code, text, topic) {
    expect_error(code, text, class = paste0("partialpool_error_", topic))
  }
  bad(predict(fit, K_new = d$K), "`newX` is missing", "argument")
  bad(predict(fit, d$X, d$K, se.fit = TRUE), "`k_new` is missing", "argument")
  bad(predict(poisson_ep_fit(d), d$X, d$K, type = "response"), "`k_new` is missing", "argument")
  bad(predict(fit, d$X, unname(d$K)[, 1:3]), "3 columns", "kernel")
  bad(predict(fit, d$X, d$K[, 1:3]), "no column for", "kernel")
  bad(predict(fit, d$X, replace(d$K, 1, NA)), "missing", "kernel")
  bad(predict(fit, d$X, d$K, 0.01, se.fit = TRUE), "negative variance", "kernel")
  bad(predict(fit, d$X, d$K, -1, se.fit = TRUE), "not negative", "argument")
  bad(predict(fit, d$X[1:2, ], d$K), "2 and 14", "newdata")
  bad(predict(fit, d$X[, 1, drop = FALSE], d$K), "lacks column `x`", "newdata")
  bad(predict(fit, unname(d$X)[, 1], d$K), "2 columns", "newdata")
  bad(predict(fit, replace(d$X, 3, NA), d$K), "missing value", "newdata")
  bad(predict(fit, letters[1:14], d$K), "will not do", "newdata")
  bad(predict(fit, d$X, d$K, offset = 1:3), "14 finite", "offset")
  bad(predict(fit, d$X, d$K, type = "mean"), "must be one of", "argument")
  bad(predict(fit, newdata = d), "Unknown argument", "argument")
  bad(predict(fit, k_new = 1), "new samples", "argument")
  bad(latent(fit, "past"), "must be one of", "argument")
  bad(predict(spectral_fit(d, kernel = NULL), d$X, d$K), "no kernel", "argument")
})

test_that("means over a normal linear predictor are accurate for every link", {
  m <- c(-3, 0, 0.7, 2.5)
  for (link in list(
    binomial("logit"), binomial("cauchit"), binomial("cloglog"), binomial("probit"),
    poisson("log"), poisson("sqrt"), gaussian()
  )) {
    for (s in c(1e-6, 0.3, 2, 15)) {
      got <- normal_moments(link, m, rep(s^2, 4L), TRUE, FALSE, link$linkinv)
      if (link$link == "log" && s > 2) next
      by_integral <- vapply(m, function(m) {
        # In pieces: integrate() looks for what is where.
        corners <- pmin(12, pmax(-12, (c(-3, 0, 3) - m) / s))
        ends <- sort(unique(c(-12, seq(-10, 10, 0.5), corners, 14)))
        vapply(1:2, function(power) {
          f <- function(t) link$linkinv(m + s * t)^power * dnorm(t)
          sum(vapply(seq_along(ends)[-1L], function(i) {
            integrate(f, ends[i - 1L], ends[i], rel.tol = 1e-11, stop.on.error = FALSE)$value
          }, 0))
        }, 0)
      }, c(0, 0))
      expect_equal(got$mean, by_integral[1L, ], tolerance = 1e-11, info = paste(link$link, s))
      if (s > 0.1) {
        sd <- sqrt(by_integral[2L, ] - by_integral[1L, ]^2)
        expect_equal(got$sd, sd, tolerance = 1e-7, info = paste(link$link, s))
      }
    }
  }
  zero <- normal_moments(binomial(), m, rep(0, 4L), TRUE, FALSE, plogis)
  expect_equal(zero, list(mean = plogis(m), sd = rep(0, 4L)))
  inverse <- Gamma("inverse")
  expect_equal(normal_moments(inverse, 2, 0.1, TRUE, FALSE, inverse$linkinv)$mean, 0.5)
})

test_that("the response is predicted by its mean", {
  d <- kernel_data()
  fit <- poisson_ep_fit(d)
  expect_equal(fitted(fit), predict(fit, type = "response"))
  expect_equal(unname(fitted(fit)), exp(fit$posterior$mean + fit$posterior$variance / 2))
  fit <- binomial_ep_fit(d)
  by_rule <- vapply(seq_len(d$n), function(i) {
    sd <- sqrt(fit$posterior$variance[i])
    integrate(function(z) plogis(z) * dnorm(z, fit$posterior$mean[i], sd), -20, 20,
      rel.tol = 1e-10)$value
  }, 0)
  expect_equal(unname(fitted(fit)), by_rule, tolerance = 1e-8)
  expect_equal(predict(fit), latent(fit)$mean, tolerance = 1e-9)
  expect_equal(residuals(fit, "response"), fit$y - fitted(fit))
})

test_that("residuals of families are those of their distribution", {
  d <- kernel_data()
  fit <- poisson_ep_fit(d)
  mu <- unname(fitted(fit))
  expect_equal(unname(residuals(fit, "pearson")), (fit$y - mu) / sqrt(mu))
  expect_equal(unname(residuals(fit)),
    sign(fit$y - mu) * sqrt(pmax(0, poisson()$dev.resids(fit$y, mu, 1))))
  u <- residuals(fit, "quantile", seed = 2)
  expect_identical(residuals(fit, "quantile", seed = 2), u)
  p <- pnorm(u)
  expect_true(all(p >= ppois(fit$y - 1, mu) & p <= ppois(fit$y, mu)))
  noise <- noise_fit(d)
  expect_equal(residuals(noise, "pearson"), residuals(noise, "response") / sqrt(noise$noise_var))
  expect_error(residuals(fit, "partial"), class = "partialpool_error_argument")
})

test_that("what a fit holds is handed out", {
  fit <- poisson_ep_fit()
  expect_identical(coef(fit), fit$coefficients)
  expect_identical(fixef(fit), fit$coefficients)
  expect_identical(vcov(fit), fit$vcov)
  expect_identical(vcov(fit, full = TRUE), fit$vcov_full)
  expect_identical(gradient(fit), fit$gradient)
  expect_identical(model.matrix(fit), fit$X)
  expect_identical(family(fit)$family, "poisson")
  expect_identical(family(noise_fit())$family, "gaussian")
  expect_identical(c(nobs(fit), df.residual(fit)), c(14L, 10L))
  expect_equal(logLik(fit), structure(-25.25, nobs = 14L, nall = 14L, df = 4L, class = "logLik"))
  expect_equal(c(AIC(fit), BIC(fit), deviance(fit)), c(58.5, 50.5 + 4 * log(14), 50.5))
  expect_equal(extractAIC(fit), c(4, 58.5))
  expect_false(is_singular(fit))
  expect_identical(sigma(fit), 1)
  expect_equal(sigma(spectral_fit()), sqrt(0.6))
  expect_error(coef(fit, "group"), class = "partialpool_error_argument")
  fit$vcov_full <- NULL
  free <- c(names(coef(fit)), "log(scale)", "logit(delta)")
  expect_identical(rownames(vcov(fit, full = TRUE)), free)
  fit$fixed["delta"] <- TRUE
  expect_identical(rownames(vcov(fit, full = TRUE)), free[1:3])
  expect_true(all(is.na(vcov(fit, full = TRUE))))
})

test_that("variances and the proportion of the kernel", {
  fit <- noise_fit()
  v <- VarCorr(fit)
  table <- data.frame(grp = c("kernel", "row"), vcov = c(1.4, 0.6))
  expect_equal(as.data.frame(v)[c("grp", "vcov")], table)
  expect_equal(attr(v, "proportion"), 0.7)
  v <- as.data.frame(VarCorr(spectral_fit()))
  expect_equal(v[c("grp", "vcov")], data.frame(grp = c("kernel", "Residual"), vcov = c(1.4, 0.6)))
  fit <- binomial_ep_fit()
  expect_equal(attr(VarCorr(fit), "proportion"), 0.6 / (0.8 + pi^2 / 3))
  expect_equal(link_variance(binomial("probit")), 1)
  expect_equal(link_variance(poisson()), 0)
  expect_output(print(VarCorr(fit)), "kernel +[(]Intercept[)]")
})

test_that("intervals are made on the internal scale", {
  fit <- poisson_ep_fit()
  ci <- confint(fit)
  expect_equal(ci[, 1], coef(fit) - qnorm(0.975) * sqrt(diag(vcov(fit))))
  expect_identical(colnames(ci), c("2.5 %", "97.5 %"))
  ci <- confint(fit, full = TRUE, level = 0.9)
  expect_identical(rownames(ci), c(names(coef(fit)), "scale", "delta"))
  expect_equal(ci["scale", ], 0.8 * exp(c(-1, 1) * qnorm(0.95) * sqrt(0.4)), ignore_attr = TRUE)
  expect_equal(ci["delta", ], plogis(qlogis(0.25) + c(-1, 1) * qnorm(0.95) * sqrt(0.9)),
    ignore_attr = TRUE)
  expect_identical(confint(fit, "x"), confint(fit)["x", , drop = FALSE])
  expect_identical(confint(fit, 2), confint(fit)["x", , drop = FALSE])
  expect_error(confint(fit, "scale"), class = "partialpool_error_argument")
  expect_error(confint(fit, level = 95), class = "partialpool_error_argument")
  fit <- spectral_fit()
  expect_equal(confint(fit)[2, 2], coef(fit)[[2]] + qt(0.975, 12) * sqrt(vcov(fit)[2, 2]))
  held <- poisson_ep_fit(delta = 0.25)
  held$delta <- 0
  expect_true(all(is.na(confint(held, "delta", full = TRUE))))
})

test_that("responses are simulated from the model in the form of y", {
  d <- kernel_data()
  fit <- poisson_ep_fit(d)
  s <- simulate(fit, 3, seed = 1)
  expect_identical(simulate(fit, 3, seed = 1), s)
  expect_identical(names(s), c("sim_1", "sim_2", "sim_3"))
  expect_identical(row.names(s), rownames(d$K))
  expect_identical(dim(s), c(14L, 3L))
  set.seed(9)
  before <- .Random.seed
  simulate(fit, seed = 2)
  expect_identical(.Random.seed, before)
  counts <- simulate(binomial_ep_fit(d), 2, seed = 1)
  expect_true(all(counts$sim_1 == round(counts$sim_1) & counts$sim_1 <= d$trials))
  expect_error(simulate(fit, 0), class = "partialpool_error_argument")
  # Moments of a normal model: those of its covariance.
  fit <- spectral_fit(d)
  y <- as.matrix(simulate(fit, 20000, seed = 3))
  expect_lt(max(abs(rowMeans(y) - drop(d$X %*% coef(fit)))), 5 * sqrt(2 / 20000))
  expect_lt(max(abs(cov(t(y)) - 1.4 * d$K - 0.6 * diag(14))), 6 * 2 * sqrt(2 / 20000))
  noise <- as.matrix(simulate(noise_fit(d), 20000, seed = 3))
  V <- 1.4 * d$K + 0.6 * diag(14) + diag(seq(0.5, 2, length.out = 14))
  expect_lt(max(abs(cov(t(noise)) - V)), 6 * 4 * sqrt(2 / 20000))
})

test_that("an update takes from the fit what is not changed", {
  d <- kernel_data()
  fit <- poisson_ep_fit(d)
  known <- c("y", "X", "kernel", "family", "trials", "fix", "start", "fit")
  arguments <- function(...) updated_arguments(fit, list(...), known)
  seen <- arguments(start = list(scale = 0.92), fit = FALSE)
  expect_true(all(names(seen) %in% known))
  expect_identical(seen$start, list(beta = coef(fit), scale = 0.92, delta = 0.25))
  expect_false(seen$fit)
  expect_equal(seen$y, d$count)
  expect_identical(seen$kernel, fit$kernel)
  expect_length(seen$fix, 0L)
  expect_true("fix" %in% names(seen))
  seen <- arguments(start = list(v0 = 1), fit = FALSE)
  expect_equal(seen$start[c("scale", "delta")], list(scale = 1.2, delta = 1 / 6))
  fit$fixed["delta"] <- TRUE
  expect_identical(arguments()$fix, list(delta = 0.25))
  expect_identical(arguments(start = list(delta = 0.5))$fix, list(delta = 0.5))
  expect_identical(arguments(fix = list())$fix, list())
  seen <- arguments(kernel = NULL, X = cbind(1, d$X))
  expect_true("kernel" %in% names(seen) && is.null(seen$kernel))
  expect_null(seen$start$beta)
  fit <- binomial_ep_fit(d)
  expect_equal(arguments()$y, d$successes)
  expect_identical(arguments()$trials, d$trials)
  expect_null(arguments(y = cbind(1:14, 2))$trials)
})

test_that("an update is refused what it cannot change", {
  d <- kernel_data()
  expect_error(check_changed(list(3), "fit"), class = "partialpool_error_argument")
  expect_error(check_changed(list(fitt = FALSE), "fit"), "Did you mean `fit`",
    class = "partialpool_error_argument")
  expect_error(update(poisson_ep_fit(d), . ~ x), class = "partialpool_error_argument")
})

test_that("what a formula would give is refused", {
  fit <- noise_fit()
  for (f in list(formula, terms, model.frame, ranef)) {
    expect_error(f(fit), class = "partialpool_error_argument")
  }
})

test_that("fits of each model can be plotted", {
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  for (fit in list(noise_fit(), poisson_ep_fit(), spectral_fit())) {
    expect_invisible(plot(fit))
    expect_identical(plot(fit, which = 2, col = 2), fit)
  }
  expect_error(plot(fit, which = 3), class = "partialpool_error_argument")
})
