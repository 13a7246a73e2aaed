fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)

test_that("a refit is a new fit", {
  y <- simulate(fit, seed = 1)[[1]]
  again <- refit(fit, y)
  fresh <- lmm(y ~ Days + (Days | Subject), transform(sleepstudy, y = y))
  expect_equal(again$criterion, fresh$criterion, tolerance = 1e-12)
  expect_equal(coef(again), coef(fresh))
  expect_equal(unname(again$theta), unname(fresh$theta))
  expect_equal(again$b, fresh$b)
  expect_equal(unname(fitted(again)), unname(fitted(fresh)))
  expect_equal(unname(model.frame(again)[[1]]), y)
  expect_s3_class(model.frame(again), "data.frame")
  expect_equal(coef(summary(again)), coef(summary(fresh)))
})

test_that("weights, offset and a crossed design are kept", {
  d <- small_data()
  base <- lmm(y ~ x + (x | g) + (1 | h), d, weights = w, offset = o)
  d$y2 <- rev(d$y)
  again <- refit(base, d$y2)
  fresh <- lmm(y2 ~ x + (x | g) + (1 | h), d, weights = w, offset = o)
  expect_equal(again$criterion, fresh$criterion, tolerance = 1e-11)
  expect_equal(coef(again), coef(fresh), tolerance = 1e-8)
})

test_that("a data frame of one column and rows dropped for missing values are accepted", {
  expect_equal(refit(fit, simulate(fit, seed = 2))$criterion,
               refit(fit, simulate(fit, seed = 2)[[1]])$criterion)
  s <- sleepstudy
  s$Days[5] <- NA
  short <- lmm(Reaction ~ Days + (Days | Subject), s)
  expect_equal(refit(short, s$Reaction)$criterion, short$criterion)
})

test_that("a response that cannot be fitted is refused", {
  expect_error(refit(fit, 1:3), class = "partialpool_error_response")
  expect_error(refit(fit, rep(1, 180)), class = "partialpool_error_response")
  expect_error(refit(fit, c(NA, sleepstudy$Reaction[-1])), class = "partialpool_error_response")
  expect_error(refit(fit, letters), class = "partialpool_error_response")
  expect_error(refit(fit, sleepstudy$Reaction, 1), class = "partialpool_error_argument")
})

test_that("lme4's generic of the same name finds the method", {
  skip_if_not_installed("lme4")
  y <- simulate(fit, seed = 1)[[1]]
  expect_equal(lme4::refit(fit, y)$criterion, refit(fit, y)$criterion)
})
