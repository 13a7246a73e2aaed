linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
sleep_fit <- function(...) lmm(Reaction ~ Days + (Days | Subject), sleepstudy, ...)

test_that("predictions are lme4's: own rows, new data, parts of the random effects", {
  skip_if_not_installed("lme4")
  formula <- diameter ~ 1 + (1 | plate) + (1 | sample)
  fit <- lmm(formula, Penicillin)
  reference <- lme4::lmer(formula, Penicillin)
  new <- Penicillin[c(5, 77, 12), ]
  for (data in list(NULL, new)) {
    for (re.form in list(NULL, NA, ~0, ~ (1 | sample))) {
      expect_equal(
        predict(fit, data, re.form = re.form), predict(reference, data, re.form = re.form),
        tolerance = 1e-5
      )
    }
  }
  expect_equal(
    predict(fit, new, random.only = TRUE), predict(reference, new, random.only = TRUE),
    tolerance = 1e-4, ignore_attr = TRUE
  )
})

test_that("a part of a term can be left out", {
  skip_if_not_installed("lme4")
  fit <- sleep_fit()
  reference <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  new <- sleepstudy[c(7, 88), ]
  for (data in list(NULL, new)) {
    expect_equal(
      predict(fit, data, re.form = ~ (1 | Subject)),
      predict(reference, data, re.form = ~ (1 | Subject)),
      tolerance = 1e-5
    )
  }
})

test_that("random slopes, new levels and the offset enter", {
  skip_if_not_installed("lme4")
  formula <- Reaction ~ Days + offset(3 * Days) + (Days | Subject)
  fit <- lmm(formula, sleepstudy)
  reference <- lme4::lmer(formula, sleepstudy)
  new <- data.frame(Days = c(0, 4.5, 12), Subject = c("309", "372", "new"))
  expect_error(predict(fit, new), "new", class = "partialpool_error_newdata")
  expect_equal(
    predict(fit, new, allow.new.levels = TRUE), predict(reference, new, allow.new.levels = TRUE),
    tolerance = 1e-5
  )
  expect_equal(
    predict(fit, new, allow.new.levels = TRUE)[[3]], predict(fit, new, re.form = NA)[[3]]
  )
})

# The mixed-model equations, dense: the covariance of (b_hat - b, beta_hat - beta).
henderson <- function(fit) {
  parts <- components(fit)
  W <- Matrix::Diagonal(x = parts$weights)
  ZL <- parts$Z %*% parts$Lambda
  M <- cbind(ZL, parts$X)
  C <- Matrix::crossprod(M, W %*% M)
  q <- ncol(ZL)
  Matrix::diag(C)[seq_len(q)] <- Matrix::diag(C)[seq_len(q)] + 1
  list(
    covariance = sigma(fit)^2 * solve(as.matrix(C)), Lambda = as.matrix(parts$Lambda), q = q,
    rows = as.matrix(cbind(parts$Z %*% parts$Lambda, parts$X))
  )
}

test_that("standard errors are those of Henderson's equations", {
  d <- transform(sleepstudy, w = 1 + seq_along(Reaction) %% 3)
  fit <- lmm(Reaction ~ Days + (Days | Subject), d, weights = w)
  h <- henderson(fit)
  expected <- sqrt(rowSums((h$rows %*% h$covariance) * h$rows))
  predicted <- predict(fit, se.fit = TRUE)
  expect_equal(predicted$se.fit, expected, tolerance = 1e-8)
  expect_equal(predicted$fit, fitted(fit))
  expect_named(predicted$se.fit, names(fitted(fit)))
  fixed <- predict(fit, re.form = NA, se.fit = TRUE)$se.fit
  expect_equal(fixed^2, rowSums((fit$X %*% vcov(fit)) * fit$X), tolerance = 1e-8)
})

test_that("a new level has the variance of the population", {
  fit <- sleep_fit()
  new <- data.frame(Days = c(0, 10), Subject = "new")
  x <- cbind(1, new$Days)
  expected <- rowSums((x %*% vcov(fit)) * x) + rowSums((x %*% VarCorr(fit)$Subject) * x)
  se <- predict(fit, new, allow.new.levels = TRUE, se.fit = TRUE)$se.fit
  expect_equal(unname(se^2), expected, tolerance = 1e-8)
})

test_that("intervals are built from the standard errors, with quantiles of the normal", {
  fit <- sleep_fit()
  new <- data.frame(Days = c(3, 10), Subject = c("308", "310"))
  known <- predict(fit, new, se.fit = TRUE)
  confidence <- predict(fit, new, interval = "confidence", level = 0.9)
  expect_identical(colnames(confidence), c("fit", "lwr", "upr"))
  expect_equal(confidence[, "fit"], known$fit)
  expect_equal(confidence[, "upr"], known$fit + qnorm(0.95) * known$se.fit)
  prediction <- predict(fit, new, interval = "prediction", se.fit = TRUE)
  expect_equal(
    prediction$fit[, "lwr"], known$fit - qnorm(0.975) * sqrt(known$se.fit^2 + sigma(fit)^2)
  )
  expect_equal(prediction$se.fit, known$se.fit)
})

test_that("a prediction interval of the own rows knows their weights", {
  d <- transform(sleepstudy, w = rep(c(1, 4), 90))
  fit <- lmm(Reaction ~ Days + (1 | Subject), d, weights = w)
  se <- predict(fit, se.fit = TRUE)$se.fit
  width <- predict(fit, interval = "prediction")[, "upr"] - predict(fit)
  expect_equal(width, qnorm(0.975) * sqrt(se^2 + sigma(fit)^2 / d$w))
})

test_that("a fit without random terms predicts as lm", {
  fit <- linear_fit()
  reference <- lm(Reaction ~ Days, sleepstudy)
  new <- data.frame(Days = c(1, 20))
  for (interval in c("none", "confidence", "prediction")) {
    expect_equal(
      predict(fit, new, interval = interval), predict(reference, new, interval = interval)
    )
  }
  expect_equal(
    predict(fit, new, se.fit = TRUE)$se.fit, predict(reference, new, se.fit = TRUE)$se.fit,
    ignore_attr = TRUE
  )
})

test_that("missing values: padded after na.exclude, NA for new rows, na.omit leaves out", {
  d <- sleepstudy
  d$Reaction[4] <- NA
  fit <- lmm(Reaction ~ Days + (1 | Subject), d, na.action = na.exclude)
  expect_identical(unname(which(is.na(predict(fit)))), 4L)
  expect_identical(nrow(predict(fit, interval = "confidence")), 180L)
  new <- data.frame(Days = c(1, NA), Subject = "308")
  expect_identical(unname(is.na(predict(fit, new))), c(FALSE, TRUE))
  expect_identical(unname(is.na(predict(fit, new, se.fit = TRUE)$se.fit)), c(FALSE, TRUE))
  expect_length(predict(fit, new, na.action = na.omit), 1L)
})

test_that("a missing group is an error unless new levels are allowed", {
  fit <- sleep_fit()
  new <- data.frame(Days = 1, Subject = NA_character_)
  expect_error(predict(fit, new), class = "partialpool_error_newdata")
  expect_equal(
    unname(predict(fit, new, allow.new.levels = TRUE)), unname(predict(fit, new, re.form = NA))
  )
})

test_that("no rows give no predictions", {
  fit <- sleep_fit()
  none <- sleepstudy[0, ]
  expect_length(predict(fit, none), 0L)
  expect_identical(dim(predict(fit, none, interval = "prediction")), c(0L, 3L))
  expect_length(predict(fit, none, se.fit = TRUE)$se.fit, 0L)
})

test_that("dropped columns do not matter", {
  d <- transform(sleepstudy, Twice = 2 * Days)
  fit <- suppressMessages(lmm(Reaction ~ Days + Twice + (1 | Subject), d))
  expect_equal(predict(fit, d), predict(lmm(Reaction ~ Days + (1 | Subject), d)))
})

test_that("wrong arguments are errors", {
  fit <- sleep_fit()
  expect_error(predict(fit, re.frm = NA), "re.frm", class = "partialpool_error_argument")
  for (level in list(2, 0, NA, "a", c(0.9, 0.95))) {
    expect_error(
      predict(fit, interval = "confidence", level = level),
      class = "partialpool_error_argument"
    )
  }
  expect_error(predict(fit, interval = "conf int"), class = "partialpool_error_argument")
  expect_error(predict(fit, type = "terms"), class = "partialpool_error_argument")
  expect_identical(predict(fit, type = "response"), predict(fit))
  expect_error(predict(fit, re.form = ~ (1 | Days)), class = "partialpool_error")
})
