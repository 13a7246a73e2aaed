linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
sleep_fit <- function(...) lmm(Reaction ~ Days + (Days | Subject), sleepstudy, ...)
page <- function(x, ...) trimws(capture.output(print(x, ...)), "right")

test_that("a fit prints its page and returns itself", {
  fit <- sleep_fit()
  lines <- page(fit)
  expect_identical(lines[1:5], c(
    "Linear mixed model, fitted by REML",
    "Formula: Reaction ~ Days + (Days | Subject)",
    "   Data: sleepstudy",
    "REML criterion: 1743.6",
    ""
  ))
  expect_true("Number of obs: 180, groups: Subject, 18" %in% lines)
  expect_match(lines[length(lines)], "^Converged: [0-9]+ evaluations, Newton decrement")
  expect_output(expect_invisible(print(fit)))
})

test_that("a fit by ML prints information criteria", {
  lines <- page(sleep_fit(REML = FALSE))
  expect_identical(lines[1], "Linear mixed model, fitted by ML")
  expect_match(lines[4], "AIC +BIC +logLik deviance df.resid")
  expect_match(lines[5], "1763.9 +1783.1 +-876.0 +1751.9 +174")
})

test_that("a fit without random terms says so", {
  lines <- page(linear_fit())
  expect_identical(lines[1], "Linear model (no random effects)")
  expect_false(any(grepl("Random effects:", lines)))
  expect_true("Number of obs: 180" %in% lines)
})

test_that("singular components and dropped columns are named", {
  lines <- page(suppressMessages(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2)))
  expect_true(any(grepl("^Singular fit: in Batch, the variance of", lines)))
  d <- transform(sleepstudy, Twice = 2 * Days)
  lines <- page(suppressMessages(lmm(Reaction ~ Days + Twice + (1 | Subject), d)))
  expect_true("Dropped (linear combinations of other columns): Twice" %in% lines)
})

test_that("a search that did not end is not called converged", {
  fit <- sleep_fit()
  fit$convergence$status <- "no descent"
  fit$convergence$decrement <- 0.5
  fit$convergence$evaluations <- 4L
  expect_true("Not converged (no descent): 4 evaluations, Newton decrement 0.5" %in% page(fit))
  fit$convergence$status <- "converged"
  fit$convergence$decrement <- 1e-20
  expect_true("Converged: 4 evaluations, Newton decrement below 1e-12" %in% page(fit))
})

test_that("no line is wider than the page", {
  d <- transform(sleepstudy, a_rather_long_name = Days^2, another_long_name_here = sqrt(Days))
  fit <- lmm(
    Reaction ~ Days + a_rather_long_name + another_long_name_here + I(Days^3) + (1 | Subject), d
  )
  lines <- page(fit)
  expect_lte(max(nchar(lines)), 80)
  expect_identical(lines[3], "           + I(Days^3) + (1 | Subject)")
})

test_that("long formulas are broken between terms, not inside", {
  text <- "y ~ a + (b + c | g) + d"
  expect_identical(formula_lines(text, 80), text)
  expect_identical(formula_lines(text, 12), c("y ~ a", "  + (b + c | g)", "  + d"))
})

test_that("data written into the call are not printed", {
  fit <- do.call(lmm, list(Reaction ~ Days + (1 | Subject), sleepstudy))
  expect_false(any(grepl("Data:", page(fit))))
})
