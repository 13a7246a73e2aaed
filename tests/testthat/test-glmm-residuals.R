cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
cbpp_fit <- function(...) quietly(glmm(cbpp_formula, cbpp, binomial(), ...))
types <- c("deviance", "pearson", "working", "response")

# A fit whose estimates are those of a fit of lme4, so that methods alone are compared.
with_estimates_of <- function(fit, reference) {
  fit$coefficients[] <- lme4::fixef(reference)
  for (t in seq_along(fit$random)) {
    b <- lme4::ranef(reference, condVar = FALSE)[[fit$random[[t]]$group]]
    fit$b[[t]][] <- as.matrix(b)[rownames(fit$b[[t]]), ]
  }
  fit
}

test_that("fitted values and residuals are lme4's", {
  skip_if_not_installed("lme4")
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  fit <- with_estimates_of(cbpp_fit(), reference)
  expect_equal(fitted(fit), fitted(reference))
  for (type in types) {
    expect_equal(residuals(fit, type), residuals(reference, type), tolerance = 1e-6)
  }
  expect_equal(deviance(fit), deviance(reference))
  expect_identical(residuals(fit), residuals(fit, "deviance"))
})

test_that("Poisson residuals with offset and weights are glm's", {
  d <- transform(count_data(), w = 1 + seq_along(y) %% 3, o = x / 2)
  fit <- quietly(glmm(y ~ x + offset(o), d, poisson(), weights = w))
  reference <- glm(y ~ x + offset(o), poisson, d, weights = w)
  expect_equal(fitted(fit), fitted(reference), tolerance = 1e-6)
  for (type in types) {
    expect_equal(residuals(fit, type), residuals(reference, type), tolerance = 1e-5)
  }
  expect_equal(deviance(fit), deviance(reference), tolerance = 1e-6)
})

test_that("Gamma residuals are glm's, and are scaled by sigma", {
  d <- transform(count_data(), y = y + 0.3)
  fit <- quietly(glmm(y ~ x, d, Gamma("log")))
  reference <- glm(y ~ x, Gamma("log"), d)
  for (type in types) {
    expect_equal(residuals(fit, type), residuals(reference, type), tolerance = 1e-5)
  }
  expect_equal(
    residuals(fit, "pearson", scaled = TRUE), residuals(fit, "pearson") / sigma(fit)
  )
  expect_identical(residuals(fit, "response", scaled = TRUE), residuals(fit, "response"))
})

test_that("zero inflation enters mean and variance", {
  fit <- quietly(glmm(y ~ x + (1 | g), inflated_data(), nbinom2(), ziformula = ~x))
  mu <- predict(fit, type = "conditional")
  zero <- predict(fit, type = "zprob")
  expect_equal(fitted(fit), (1 - zero) * mu)
  variance <- (1 - zero) * mu * (1 + mu / sigma(fit)) + zero * (1 - zero) * mu^2
  expect_equal(
    unname(residuals(fit, "pearson")), unname((fit$y - (1 - zero) * mu) / sqrt(variance))
  )
  # at zero the distance is that from certainty of a zero
  at <- which(fit$y == 0)
  chance <- zero + (1 - zero) * dnbinom(0, size = sigma(fit), mu = mu)
  expect_equal(residuals(fit)[at], -sqrt(-2 * log(chance[at])))
})

test_that("quantile residuals are reproducible and leave the generator alone", {
  fit <- cbpp_fit()
  set.seed(5)
  before <- .Random.seed
  r <- residuals(fit, "quantile", seed = 1)
  expect_identical(.Random.seed, before)
  expect_identical(residuals(fit, "quantile", seed = 1), r)
  expect_false(identical(residuals(fit, "quantile"), r))
  expect_false(identical(.Random.seed, before))
})

test_that("quantile residuals of every family are standard normal for its own responses", {
  set.seed(3)
  n <- 4000
  for (name in names(distributions)) {
    family <- distributions[[name]]
    p <- list(
      mu = runif(n, 0.2, 0.8) * if (family$support == "unit") 1 else 6, phi = rep(2.5, n),
      trials = rep(if (grepl("binomial", name)) 9 else 1, n), zero = rep(0, n),
      shape = if (name == "tweedie") 1.4 else 5
    )
    if (name %in% c("poisson", "binomial")) p$phi[] <- 1
    for (zero in c(0, 0.3)) {
      p$zero[] <- zero
      r <- quantile_values(family, response_random(family, p), p)
      expect_gt(ks.test(r, "pnorm")$p.value, 1e-4)
    }
  }
})

test_that("each tail of the distribution function is exact where it is small", {
  p <- list(mu = rep(1, 2), phi = c(1, 1), trials = c(1, 1), zero = c(0, 0), shape = NULL)
  r <- quantile_values(distributions$poisson, c(60, 0), p)
  expect_true(all(is.finite(r)))
  expect_gt(r[1], 15)
})

test_that("deviances are distances from the largest density over mu", {
  y <- c(1, 3, 7)
  p <- list(mu = c(2, 2, 2), phi = rep(1.5, 3), trials = rep(1, 3), zero = rep(0, 3), shape = 5)
  for (name in c("nbinom1", "truncated_poisson", "truncated_nbinom1", "truncated_nbinom2")) {
    family <- distributions[[name]]
    best <- vapply(1:3, function(i) {
      one <- function(mu) {
        list(mu = mu, phi = 1.5, trials = 1, zero = 0, shape = 5)
      }
      at <- function(t) family$log_density(y[i], one(exp(t)))
      optimize(at, c(-25, 5), maximum = TRUE)$objective
    }, 0)
    rows <- response_deviance(family, y, p)
    expect_equal(rows$deviance, 2 * (best - family$log_density(y, p)), tolerance = 1e-5)
  }
  closed <- distributions$nbinom2
  searched <- closed
  searched$unit_deviance <- NULL
  expect_equal(
    response_deviance(searched, y, p), response_deviance(closed, y, p),
    tolerance = 1e-8
  )
})

test_that("Student t without a variance has no Pearson residuals", {
  fit <- quietly(glmm(y ~ x + (1 | g), real_data(), t_family()))
  expect_equal(
    residuals(fit, "pearson"),
    residuals(fit, "response") / sqrt(fit$shape[["df"]] / (fit$shape[["df"]] - 2)),
    tolerance = 1e-8
  )
  fit$shape[] <- 1.5
  expect_error(residuals(fit, "pearson"), "quantile", class = "partialpool_error_argument")
  expect_false(any(grepl("Scaled residuals", capture.output(print(summary(fit))))))
})

test_that("na.exclude pads, names are those of the rows", {
  d <- count_data()
  d$x[c(2, 9)] <- NA
  fit <- quietly(glmm(y ~ x + (1 | g), d, poisson(), na.action = na.exclude))
  for (type in c(types, "quantile")) {
    expect_identical(unname(which(is.na(residuals(fit, type)))), c(2L, 9L))
  }
  expect_named(fitted(fit), row.names(d))
  expect_error(residuals(fit, "partial"), class = "partialpool_error_argument")
  expect_error(residuals(fit, sed = 1), class = "partialpool_error_argument")
})
