test_that("augment() has broom.mixed's columns and numbers for lme4", {
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lme4")
  control <- lme4::lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14))
  data <- transform(sleepstudy, w = rep(c(1, 2, 0.5), 60), o = Days / 3)
  ours <- augment(lmm(Reaction ~ Days + (Days | Subject), data, weights = w, offset = o))
  theirs <- broom.mixed::augment(lme4::lmer(Reaction ~ Days + (Days | Subject), data,
    weights = w, offset = o, control = control
  ))
  shared <- intersect(names(theirs), names(ours))
  expect_identical(setdiff(names(theirs), names(ours)), character())
  for (name in shared) {
    expect_equal(ours[[name]], theirs[[name]], tolerance = 1e-4, ignore_attr = TRUE)
  }

  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  reference <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp,
    binomial
  )
  theirs <- suppressWarnings(broom.mixed::augment(reference))
  ours <- augment(fit)
  expect_identical(setdiff(names(theirs), names(ours)), character())
  # lme4's leverages have the prior weights where the working ones belong: here they are trials
  # times ours, 164 in all for 56 rows. test-hatvalues.R has both by dense algebra.
  h <- unname(hatvalues(fit)) / weights(fit, "working")
  expect_equal(unname(theirs$.hat), h * cbpp$size, tolerance = 2e-3)
  expect_gt(sum(theirs$.hat), nrow(cbpp))
  for (name in setdiff(names(theirs)[-(1:3)], c(".hat", ".cooksd"))) {
    expect_equal(ours[[name]], theirs[[name]], tolerance = 2e-3, ignore_attr = TRUE)
  }
  expect_equal(augment(fit, type.predict = "response")$.fitted, unname(fitted(fit)))
  expect_equal(
    augment(fit, type.residuals = "pearson")$.resid, unname(residuals(fit, "pearson"))
  )
})

test_that("leverages and distances are those of the fit", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(augment(fit)$.hat, unname(hatvalues(fit)))
  expect_equal(augment(fit)$.cooksd, unname(cooks.distance(fit)))
})

test_that("intervals and standard errors are those of predict()", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  rows <- augment(fit, se_fit = TRUE, interval = "prediction", conf.level = 0.9)
  found <- predict(fit, se.fit = TRUE, interval = "prediction", level = 0.9)
  expect_equal(rows$.se.fit, unname(found$se.fit))
  expect_equal(as.matrix(rows[c(".fitted", ".lower", ".upper")]), found$fit, ignore_attr = TRUE)
  expect_equal(augment(fit, re.form = NA)$.fitted, rows$.fixed)
  new <- data.frame(Days = c(0, 20), Subject = c("308", "new"), Reaction = c(250, 500))
  rows <- augment(fit, newdata = new, allow.new.levels = TRUE, interval = "confidence")
  expect_identical(
    names(rows), c(names(new), ".fitted", ".lower", ".upper", ".resid", ".fixed", ".mu")
  )
  expect_equal(rows$.resid, new$Reaction - rows$.fitted)
  expect_equal(rows$.fitted[2], rows$.fixed[2])
})

test_that("rows that were left out are treated as na.action says", {
  data <- transform(sleepstudy, extra = seq_len(180))
  data$Reaction[c(3, 7)] <- NA
  left_out <- lmm(Reaction ~ Days + (1 | Subject), data, subset = Days > 0)
  rows <- augment(left_out, data)
  expect_identical(nrow(rows), nobs(left_out))
  expect_identical(rows$.rownames, row.names(model.frame(left_out)))
  expect_equal(rows$.fitted, unname(fitted(left_out)))
  expect_identical(rows$extra, data[row.names(model.frame(left_out)), "extra"])

  excluded <- lmm(Reaction ~ Days + (1 | Subject), data, na.action = na.exclude)
  rows <- augment(excluded, data)
  expect_identical(nrow(rows), 180L)
  expect_identical(which(is.na(rows$.fitted)), c(3L, 7L))
  expect_equal(rows$.resid, unname(residuals(excluded)))
  expect_identical(nrow(augment(excluded)), 178L)

  expect_error(augment(excluded, data[1:5, ]), class = "partialpool_error_data")
  expect_error(augment(excluded, 1), class = "partialpool_error_data")
  expect_error(augment(excluded, sefit = TRUE), class = "partialpool_error_argument")
})

test_that("fits of other kinds have rows", {
  no_random <- suppressMessages(lmm(Reaction ~ Days, sleepstudy))
  expect_equal(augment(no_random)$.resid, unname(residuals(lm(Reaction ~ Days, sleepstudy))))
  data <- inflated_data()
  zero <- glmm(y ~ x + (1 | g), data, nbinom2(), ziformula = ~1)
  rows <- augment(zero, data)
  expect_equal(rows$.mu, unname(fitted(zero)))
  expect_equal(rows$.fitted, unname(predict(zero)))
  d <- kernel_data()
  fit <- suppressMessages(kernel_lmm(d$y, d$X, d$K))
  rows <- augment(fit)
  expect_equal(rows$.resid, unname(residuals(fit)))
  expect_equal(augment(fit, data.frame(a = seq_len(d$n)))$a, seq_len(d$n))
  expect_error(augment(fit, se_fit = TRUE), class = "partialpool_error_argument")
})
