cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
cbpp_fit <- function(...) quietly(glmm(cbpp_formula, cbpp, binomial(), ...))
inflated_fit <- function(family = nbinom2(), ...) {
  quietly(glmm(y ~ x + (1 | g), inflated_data(), family, ziformula = ~x, ...))
}

test_that("predictions on the link are those of the linear predictor", {
  fit <- cbpp_fit()
  parts <- components(fit)
  eta <- as.vector(parts$X %*% parts$beta + parts$Z %*% parts$b)
  expect_equal(unname(predict(fit)), eta)
  expect_equal(unname(predict(fit, re.form = NA)), as.vector(parts$X %*% parts$beta))
  expect_equal(predict(fit, type = "response"), fitted(fit))
  expect_equal(unname(predict(fit, random.only = TRUE)), as.vector(parts$Z %*% parts$b))
  new <- cbpp[c(1, 30, 50), ]
  expect_equal(predict(fit, new), predict(fit)[c(1, 30, 50)])
  expect_equal(predict(fit, new, type = "response"), plogis(predict(fit, new)))
})

test_that("predictions are lme4's up to the estimates", {
  skip_if_not_installed("lme4")
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  fit <- cbpp_fit()
  new <- data.frame(period = factor(c(1, 4)), herd = c("3", "new"))
  for (type in c("link", "response")) {
    for (re.form in list(NULL, NA)) {
      ours <- predict(fit, new, type = type, re.form = re.form, allow.new.levels = TRUE)
      theirs <- predict(reference, new, type = type, re.form = re.form, allow.new.levels = TRUE)
      expect_equal(ours, theirs, tolerance = 2e-3)
    }
  }
  expect_error(predict(fit, new), class = "partialpool_error_newdata")
})

test_that("standard errors without random effects are those of the estimates", {
  fit <- cbpp_fit()
  new <- data.frame(period = factor(1:4))
  X <- model.matrix(~period, new)
  p <- predict(fit, new, re.form = NA, se.fit = TRUE)
  expect_equal(unname(p$se.fit), sqrt(rowSums((X %*% vcov(fit)) * X)), ignore_attr = TRUE)
  r <- predict(fit, new, re.form = NA, se.fit = TRUE, type = "response")
  expect_equal(r$se.fit, p$se.fit * dlogis(p$fit))
})

test_that("standard errors with random effects are those of the penalised normal equations", {
  fit <- cbpp_fit()
  parts <- components(fit)
  M <- as.matrix(cbind(parts$Z %*% parts$Lambda, parts$X))
  q <- ncol(parts$Z)
  C <- crossprod(M, parts$working_weights * M) + diag(c(rep(1, q), rep(0, ncol(parts$X))))
  expected <- unname(sqrt(rowSums((M %*% solve(C)) * M)))
  # canonical link: observed and expected information agree
  expect_equal(unname(predict(fit, se.fit = TRUE)$se.fit), expected, tolerance = 1e-5)
})

test_that("a new level has the variance of the population added", {
  fit <- cbpp_fit()
  new <- data.frame(period = factor(2, levels = 1:4), herd = "new")
  alone <- predict(fit, new, re.form = NA, se.fit = TRUE)
  known <- predict(fit, new, allow.new.levels = TRUE, se.fit = TRUE)
  expect_equal(known$fit, alone$fit)
  expect_equal(known$se.fit^2, alone$se.fit^2 + VarCorr(fit)$herd[1L], ignore_attr = TRUE)
  both <- rbind(new, data.frame(period = factor(2), herd = "3"))
  expect_equal(
    predict(fit, both, allow.new.levels = TRUE, se.fit = TRUE)$se.fit[[1L]], known$se.fit[[1L]]
  )
})

test_that("intervals are made on the link and stay where a mean can be", {
  fit <- cbpp_fit()
  new <- cbpp[c(1, 40), ]
  link <- predict(fit, new, interval = "confidence", se.fit = TRUE)
  expect_equal(link$fit[, "upr"], link$fit[, "fit"] + qnorm(0.975) * link$se.fit)
  response <- predict(fit, new, type = "response", interval = "confidence")
  expect_equal(response, plogis(link$fit))
  expect_identical(colnames(response), c("fit", "lwr", "upr"))
  decreasing <- quietly(glmm(I(y + 0.5) ~ x, count_data(), Gamma("inverse")))
  r <- predict(decreasing, type = "response", interval = "confidence")
  expect_true(all(r[, "lwr"] <= r[, "fit"] & r[, "fit"] <= r[, "upr"]))
  expect_error(predict(fit, interval = "prediction"), class = "partialpool_error_argument")
})

test_that("zero inflation has predictions of its own", {
  fit <- inflated_fit()
  new <- data.frame(x = c(-1, 0, 2), g = "3")
  zeta <- drop(cbind(1, new$x) %*% fixef(fit, component = "zi"))
  expect_equal(unname(predict(fit, new, type = "zlink")), zeta)
  expect_equal(unname(predict(fit, new, type = "zprob")), plogis(zeta))
  expect_equal(
    predict(fit, new, type = "response"),
    predict(fit, new, type = "conditional") * (1 - predict(fit, new, type = "zprob"))
  )
  expect_equal(predict(fit, new, type = "conditional"), exp(predict(fit, new)))
  z <- predict(fit, new, type = "zprob", interval = "confidence", se.fit = TRUE)
  V <- vcov(fit, component = "zi")
  expect_equal(
    unname(z$se.fit), dlogis(zeta) * sqrt(rowSums((cbind(1, new$x) %*% V) * cbind(1, new$x)))
  )
  expect_true(all(z$fit > 0 & z$fit < 1))
  none <- cbpp_fit()
  expect_identical(unname(predict(none, type = "zprob"))[1:2], c(0, 0))
  expect_identical(unname(predict(none, type = "zlink"))[1:2], c(-Inf, -Inf))
})

test_that("the delta method joins the predictors", {
  fit <- inflated_fit()
  new <- data.frame(x = c(-1, 1), g = "3")
  p <- predict(fit, new, type = "response", re.form = NA, se.fit = TRUE, interval = "confidence")
  by_hand <- vapply(1:2, function(i) {
    row <- c(1, new$x[i])
    eta <- sum(row * fixef(fit))
    zero <- plogis(sum(row * fixef(fit, component = "zi")))
    slope <- c((1 - zero) * exp(eta) * row, -zero * (1 - zero) * exp(eta) * row)
    at <- c("(Intercept)", "x", "zi.(Intercept)", "zi.x")
    sqrt(drop(slope %*% vcov(fit, full = TRUE)[at, at] %*% slope))
  }, 0)
  expect_equal(unname(p$se.fit), by_hand, tolerance = 1e-6)
  expect_equal(
    p$fit[, "upr"], p$fit[, "fit"] * exp(qnorm(0.975) * p$se.fit / p$fit[, "fit"]),
    tolerance = 1e-8
  )
})

test_that("with the modes the delta method keeps predictors apart, and its variances positive", {
  fit <- inflated_fit()
  p <- predict(fit, type = "response", se.fit = TRUE)
  eta <- predict(fit, se.fit = TRUE)
  zero <- predict(fit, type = "zprob", se.fit = TRUE)
  by_hand <- exp(eta$fit) * sqrt((1 - zero$fit)^2 * eta$se.fit^2 + zero$se.fit^2)
  expect_equal(p$se.fit, by_hand, tolerance = 1e-8)
  # A level that was not in the data has no mode: what both predictors share counts.
  new <- data.frame(x = 1, g = c("3", "new"))
  both <- predict(fit, new, type = "response", se.fit = TRUE, allow.new.levels = TRUE)
  expect_true(all(both$se.fit > 0))
})

test_that("predictions of a truncated family are glmmTMB's", {
  skip_if_not_installed("glmmTMB")
  d <- subset(count_data(), y > 0)
  fit <- quietly(glmm(y ~ x + (1 | g), d, truncated_nbinom2()))
  reference <- glmmTMB::glmmTMB(y ~ x + (1 | g), d, glmmTMB::truncated_nbinom2())
  for (type in c("link", "conditional", "response", "disp")) {
    expect_equal(
      unname(predict(fit, type = type)), unname(predict(reference, type = type)),
      tolerance = 1e-3
    )
  }
  ours <- predict(fit, type = "response", re.form = NA, se.fit = TRUE)$se.fit
  theirs <- predict(reference, type = "response", re.form = NA, se.fit = TRUE)$se.fit
  expect_equal(unname(ours), unname(theirs), tolerance = 1e-2)
})

test_that("dispersion is predicted as sigma defines it", {
  fit <- quietly(glmm(y ~ x + (1 | g), count_data(), nbinom2(), dispformula = ~x))
  new <- data.frame(x = c(-1, 1), g = "1")
  phi <- exp(drop(cbind(1, new$x) %*% fixef(fit, component = "disp")))
  expect_equal(unname(predict(fit, new, type = "disp")), phi)
  se <- predict(fit, new, type = "disp", se.fit = TRUE)$se.fit
  V <- vcov(fit, component = "disp")
  expect_equal(unname(se), phi * sqrt(rowSums((cbind(1, new$x) %*% V) * cbind(1, new$x))))
  gamma <- quietly(glmm(I(y + 0.5) ~ x, count_data(), Gamma("log")))
  p <- predict(gamma, data.frame(x = 1), type = "disp", se.fit = TRUE)
  expect_equal(unname(p$fit), sigma(gamma))
  half <- sigma(gamma) / 2 * sqrt(vcov(gamma, component = "disp")[1L])
  expect_equal(unname(p$se.fit), half)
  expect_identical(unname(predict(cbpp_fit(), type = "disp"))[1:2], c(1, 1))
})

test_that("missing values, empty data, offsets", {
  d <- count_data()
  d$x[3] <- NA
  d$o <- 0.1
  fit <- quietly(
    glmm(y ~ x + offset(o) + (1 | g), d, poisson(), na.action = na.exclude)
  )
  expect_identical(unname(which(is.na(predict(fit, type = "response")))), 3L)
  expect_identical(nrow(predict(fit, interval = "confidence")), 240L)
  new <- data.frame(x = c(0, NA), g = "1", o = 0.1)
  expect_identical(unname(is.na(predict(fit, new, se.fit = TRUE)$se.fit)), c(FALSE, TRUE))
  expect_length(predict(fit, new, na.action = na.omit), 1L)
  shifted <- transform(new, o = o + 1)
  expect_equal(predict(fit, shifted)[[1L]], predict(fit, new)[[1L]] + 1)
  expect_length(predict(fit, d[0, ], type = "response"), 0L)
  zi <- inflated_fit()
  expect_length(predict(zi, d[0, ], type = "response"), 0L)
  expect_length(predict(zi, new, type = "response", na.action = na.omit), 1L)
})

test_that("coefficients that run to infinity have predictions without standard errors", {
  fit <- cbpp_fit()
  fit$vcov["period4", ] <- fit$vcov[, "period4"] <- NA
  fit$convergence$separation <- list(columns = "period4", kind = "quasi")
  new <- data.frame(period = factor(c(3, 4)), herd = "1")
  for (re.form in list(NULL, NA)) {
    se <- predict(fit, new, re.form = re.form, se.fit = TRUE)$se.fit
    expect_identical(unname(is.na(se)), c(FALSE, TRUE))
  }
})

test_that("wrong arguments are errors", {
  fit <- cbpp_fit()
  expect_error(predict(fit, type = "terms"), class = "partialpool_error_argument")
  expect_error(predict(fit, level = 95), class = "partialpool_error_argument")
  expect_error(predict(fit, re.frm = NA), class = "partialpool_error_argument")
  expect_error(predict(inflated_fit(), data.frame(g = "1"), type = "zprob"), "x",
    class = "partialpool_error_newdata"
  )
})
