linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
sleep_fit <- function(...) lmm(Reaction ~ Days + (Days | Subject), sleepstudy, ...)

test_that("the same seed draws lme4's numbers", {
  skip_if_not_installed("lme4")
  formula <- diameter ~ 1 + (1 | plate) + (1 | sample)
  fit <- lmm(formula, Penicillin)
  reference <- lme4::lmer(formula, Penicillin)
  for (re.form in list(NA, NULL, ~ (1 | sample))) {
    ours <- simulate(fit, 3, seed = 7, re.form = re.form)
    theirs <- simulate(reference, 3, seed = 7, re.form = re.form)
    expect_equal(ours, theirs, tolerance = 1e-4, ignore_attr = "seed")
  }
  ours <- simulate(sleep_fit(), 2, seed = 7)
  theirs <- simulate(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy), 2, seed = 7)
  expect_equal(ours, theirs, tolerance = 1e-3, ignore_attr = "seed")
})

test_that("the result is a data frame with the seed, and the generator goes on undisturbed", {
  fit <- sleep_fit()
  set.seed(11)
  before <- .Random.seed
  s <- simulate(fit, 2, seed = 3)
  expect_identical(.Random.seed, before)
  expect_named(s, c("sim_1", "sim_2"))
  expect_identical(row.names(s), row.names(sleepstudy))
  expect_equal(attr(s, "seed"), structure(3, kind = as.list(RNGkind())))
  expect_identical(simulate(fit, 2, seed = 3), s)
  free <- simulate(fit)
  expect_identical(attr(free, "seed"), before)
  expect_false(identical(.Random.seed, before))
})

test_that("use.u is the old name of re.form", {
  fit <- sleep_fit()
  expect_identical(
    simulate(fit, seed = 1, use.u = TRUE), simulate(fit, seed = 1, re.form = NULL)
  )
  expect_identical(simulate(fit, seed = 1, use.u = FALSE), simulate(fit, seed = 1))
  expect_error(simulate(fit, use.u = TRUE, re.form = NA), class = "partialpool_error_argument")
})

test_that("moments are those of the model, weights included", {
  d <- transform(sleepstudy, w = rep(c(1, 16), 90))
  fit <- lmm(Reaction ~ Days + (Days | Subject), d, weights = w)
  draws <- as.matrix(simulate(fit, 2000, seed = 2))
  Z <- cbind(1, d$Days)
  marginal <- rowSums((Z %*% VarCorr(fit)$Subject) * Z) + sigma(fit)^2 / d$w
  expect_lt(max(abs(rowMeans(draws) - predict(fit, re.form = NA)) / sqrt(marginal / 2000)), 4.5)
  expect_lt(max(abs(apply(draws, 1, var) / marginal - 1)), 0.2)
  given <- as.matrix(simulate(fit, 2000, seed = 2, re.form = NULL))
  expect_lt(max(abs(apply(given, 1, var) / (sigma(fit)^2 / d$w) - 1)), 0.2)
})

test_that("new data may have new groups: each its own effect", {
  fit <- sleep_fit()
  new <- data.frame(Days = c(0, 5, 0), Subject = c("a", "a", "b"))
  draws <- t(as.matrix(simulate(fit, 4000, seed = 5, newdata = new)))
  Z <- cbind(1, new$Days)
  expected <- Z %*% VarCorr(fit)$Subject %*% t(Z) * outer(new$Subject, new$Subject, "==") +
    diag(sigma(fit)^2, 3)
  expect_equal(cov(draws), expected, tolerance = 0.1, ignore_attr = TRUE)
  expect_error(simulate(fit, newdata = new, re.form = NULL), class = "partialpool_error_newdata")
  given <- simulate(fit, 1, newdata = new, re.form = NULL, allow.new.levels = TRUE)
  expect_identical(dim(given), c(3L, 1L))
})

test_that("groups made of several variables are drawn for new data", {
  fit <- lmm(strength ~ 1 + (1 | batch / cask), Pastes)
  s <- simulate(fit, 2, seed = 1, newdata = Pastes[1:7, ])
  expect_identical(dim(s), c(7L, 2L))
  expect_false(anyNA(s))
})

test_that("na.exclude pads", {
  d <- sleepstudy
  d$Reaction[9] <- NA
  fit <- lmm(Reaction ~ Days + (1 | Subject), d, na.action = na.exclude)
  s <- simulate(fit, 1, seed = 1)
  expect_identical(which(is.na(s$sim_1)), 9L)
  expect_identical(row.names(s), row.names(d))
})

test_that("a fit without random terms draws as lm", {
  fit <- linear_fit()
  expect_equal(
    simulate(fit, 2, seed = 1), simulate(lm(Reaction ~ Days, sleepstudy), 2, seed = 1)
  )
})

test_that("wrong arguments are errors", {
  fit <- sleep_fit()
  expect_error(simulate(fit, 0), class = "partialpool_error_argument")
  expect_error(simulate(fit, re.form = ~ (1 | Subject)), class = "partialpool_error_argument")
  expect_error(simulate(fit, nsims = 2), class = "partialpool_error_argument")
})
