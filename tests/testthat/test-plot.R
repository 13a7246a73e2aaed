linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
on_paper <- function(code) {
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  force(code)
}

test_that("all plots are drawn and the fit is returned invisibly", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  on_paper({
    expect_invisible(plot(fit))
    expect_identical(plot(fit, which = 2, col = "blue", pch = 3), fit)
    expect_silent(plot(fit, which = c(1, 3), level = 0.8))
  })
})

test_that("many levels, many points and no random terms are drawn too", {
  d <- data.frame(g = rep(1:100, each = 60), x = rep(1:60, 100))
  d$y <- sin(d$g) + cos(1.7 * seq_along(d$x)) + d$x / 60
  on_paper({
    expect_silent(plot(lmm(y ~ x + (1 | g), d)))
    expect_silent(plot(linear_fit()))
  })
})

test_that("a wrong which is an error", {
  fit <- linear_fit()
  expect_error(plot(fit, which = 4), class = "partialpool_error_argument")
  expect_error(plot(fit, which = "qq"), class = "partialpool_error_argument")
  expect_error(plot(fit, level = 95), class = "partialpool_error_argument")
})
