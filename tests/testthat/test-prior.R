columns <- c("(Intercept)", "x", "z")

test_that("one standard deviation is for all but the intercept", {
  values <- prior_values(normal_prior(2), columns)
  expect_equal(values$precision, c(0, 1 / 4, 1 / 4))
  expect_equal(values$mean, c(0, 0, 0))
  expect_equal(prior_values(normal_prior(2, intercept = 10), columns)$precision[1], 0.01)
  expect_equal(prior_values(normal_prior(2), columns[-1])$precision, c(1 / 4, 1 / 4))
})

test_that("values have the names of coefficients", {
  expect_equal(prior_values(normal_prior(c(z = 2)), columns)$precision, c(0, 0, 1 / 4))
  expect_equal(prior_values(normal_prior(c(1, z = 2)), columns)$precision, c(0, 1, 1 / 4))
  expect_equal(prior_values(normal_prior(c("(Intercept)" = 2)), columns)$precision[1], 1 / 4)
  expect_equal(prior_values(normal_prior(mean = c(x = 3)), columns)$mean, c(0, 3, 0))
  expect_equal(prior_values(normal_prior(mean = c(1, x = 3)), columns)$mean, c(1, 3, 1))
  expect_equal(prior_values(normal_prior(Inf), columns)$precision, c(0, 0, 0))
})

test_that("a number is a prior", {
  expect_identical(as_prior(2), normal_prior(2))
  expect_identical(as_prior(c(x = 2)), normal_prior(c(x = 2)))
  expect_null(as_prior(NULL))
  expect_identical(as_prior(normal_prior()), normal_prior())
})

test_that("what is no prior is refused", {
  refused <- function(code, text) expect_error(code, text, class = "partialpool_error_prior")
  refused(normal_prior(-1), "`sd` must be positive")
  refused(normal_prior(0), "positive")
  refused(normal_prior(NA), "positive")
  refused(normal_prior(c(1, 2)), "named by coefficients")
  refused(normal_prior(c(x = 1, x = 2)), "named by coefficients")
  refused(normal_prior(mean = Inf), "`mean` must be finite")
  refused(normal_prior(intercept = c(a = 1, b = 2)), "one positive number")
  refused(as_prior("normal"), "normal_prior")
  refused(prior_values(normal_prior(c(zz = 1)), columns), "`zz`.*Did you mean `z`")
})

test_that("it prints its values", {
  expect_output(print(normal_prior(c(2, x = 1))), "sd 2, x = 1; mean 0; sd of the intercept Inf")
})

test_that("the estimates maximise likelihood and prior together", {
  d <- transform(mtcars, fast = qsec < 18)
  fit <- glmm(fast ~ wt, d, binomial(), prior = normal_prior(1, mean = c(wt = 0.5), intercept = 2))
  penalised <- function(beta) {
    eta <- beta[1] + beta[2] * d$wt
    -sum(dbinom(d$fast, 1, plogis(eta), log = TRUE)) + beta[1]^2 / 8 + (beta[2] - 0.5)^2 / 2
  }
  best <- optim(c(0, 0), penalised, method = "BFGS", control = list(reltol = 1e-14))
  expect_equal(unname(fixef(fit)), best$par, tolerance = 1e-5)
  expect_equal(fit$penalty, unname((fixef(fit)[1]^2 / 4 + (fixef(fit)[2] - 0.5)^2)))
  expect_equal(fit$criterion + fit$penalty, 2 * best$value, tolerance = 1e-9)
  flat <- glmm(fast ~ wt, d, binomial(), prior = normal_prior(Inf))
  expect_equal(fixef(flat), coef(glm(fast ~ wt, binomial(), d)), tolerance = 1e-6)
})

test_that("a prior is by coefficient whatever columns are dropped", {
  d <- transform(mtcars, fast = qsec < 18, twice = 2 * wt, g = factor(cyl))
  prior <- normal_prior(c(wt = 1, hp = 0.1))
  expect_message(
    fit <- glmm(fast ~ wt + twice + hp + (1 | g), d, binomial(), prior = prior),
    class = "partialpool_message_rank"
  )
  alone <- quietly(glmm(fast ~ wt + hp + (1 | g), d, binomial(), prior = prior))
  expect_equal(fixef(fit), fixef(alone), tolerance = 1e-6)
  expect_equal(length(engine_parameters(fit)), 4L)
  expect_equal(glmm_value(engine(fit), engine_parameters(fit)), fit$criterion + fit$penalty,
               tolerance = 1e-8)
})

test_that("a prior does not go with REML or PQL", {
  expect_error(glmm(am ~ wt + (1 | cyl), mtcars, binomial(), REML = TRUE, prior = 1), "REML",
               class = "partialpool_error_argument")
  expect_error(glmm(am ~ wt + (1 | cyl), mtcars, binomial(), method = "pql", prior = 1), "pql",
               class = "partialpool_error_argument")
})
