# Where estimates are infinite, and where the Laplace approximation is doubtful.

set.seed(7)
d <- data.frame(g = factor(rep(1:10, each = 8)), x = rnorm(80), f = factor(rep(c("a", "b"), 40)))
d$y <- rbinom(80, 1, plogis(d$x + rnorm(10, sd = 0.8)[d$g]))

separated <- function(code) {
  found <- NULL
  fit <- withCallingHandlers(code, partialpool_warning_separation = function(w) {
    found <<- w
    invokeRestart("muffleWarning")
  }, message = function(m) invokeRestart("muffleMessage"))
  list(fit = fit, condition = found)
}

test_that("complete separation is named, and has no standard errors", {
  out <- separated(glmm(I(x > 0) ~ x + (1 | g), d, binomial()))
  expect_match(flat_text(out$condition), "`\\(Intercept\\)` and `x`|`x`")
  expect_match(flat_text(out$condition), "infinite.*prior = normal_prior\\(\\)")
  expect_identical(out$fit$convergence$separation$kind, "complete")
  expect_true(is.na(out$fit$vcov["x", "x"]))
  expect_true(is.finite(out$fit$criterion))
  expect_lt(out$fit$criterion, 0.01)
})

test_that("quasi-complete separation by a level leaves the others their standard errors", {
  out <- separated(glmm(I(y * (f == "a")) ~ f + x + (1 | g), d, binomial()))
  expect_identical(out$condition$columns, "fb")
  expect_true(is.na(out$fit$vcov["fb", "fb"]))
  expect_true(is.na(out$fit$vcov["x", "fb"]))
  expect_true(all(is.finite(out$fit$vcov[c("(Intercept)", "x"), c("(Intercept)", "x")])))
  # the other coefficients are those of the rows without the separated level
  rest <- quietly(glmm(y ~ x + (1 | g), d[d$f == "a", ], binomial()))
  expect_equal(fixef(out$fit)[["x"]], fixef(rest)[["x"]], tolerance = 1e-3)
})

test_that("zero counts in a level are separation too", {
  data <- transform(d, count = rpois(80, 2) * (f == "a"))
  out <- separated(glmm(count ~ f + (1 | g), data, poisson()))
  expect_identical(out$condition$columns, "fb")
})

test_that("a prior gives finite estimates without a warning", {
  out <- separated(glmm(I(x > 0) ~ x + (1 | g), d, binomial(), prior = normal_prior()))
  expect_null(out$condition)
  expect_true(all(is.finite(out$fit$vcov)))
  expect_lt(abs(fixef(out$fit)[["x"]]), 15)
})

test_that("no separation, no word", {
  out <- separated(glmm(y ~ x + f + (1 | g), d, binomial()))
  expect_null(out$condition)
  expect_null(out$fit$convergence$separation)
})

test_that("groups of all successes or failures are reported", {
  data <- transform(d, same = as.integer(g) > 5)
  out <- separated(glmm(same ~ 1 + (1 | g), data, binomial()))
  expect_identical(out$condition$group, "g")
  expect_match(flat_text(out$condition), "`g`.*variance.*infinite")
  expect_null(separated(glmm(y ~ 1 + (1 | g), data, binomial()))$condition)
})

test_that("advice can be turned off", {
  expect_no_warning(
    glmm(I(x > 0) ~ x + (1 | g), d, binomial(), control = pp_control(check = FALSE))
  )
})

# The Laplace note ------------------------------------------------------------------------------

noted <- function(fit) {
  said <- capture_messages(report_laplace(fit))
  if (length(said)) flat(said) else ""
}
flat <- function(text) gsub("[[:space:]]+", " ", text)
pretend <- function(fit, sd) {
  fit$Lambda[[1]][] <- sd
  fit
}

test_that("large random effects and small groups are noted, with what to do", {
  fit <- quietly(glmm(y ~ x + (1 | g), d, binomial()))
  expect_identical(noted(fit), "")
  expect_match(noted(pretend(fit, 3.5)), "standard deviation of 3.5 on the logit scale.*nAGQ = 11")
  expect_message(report_laplace(pretend(fit, 3.5)), class = "partialpool_message_laplace")
  fit$method <- "agq"
  expect_identical(noted(pretend(fit, 3.5)), "")

  pairs <- transform(d, pair = factor(rep(1:40, 2)))
  small <- quietly(glmm(y ~ x + (1 | pair), pairs, binomial()))
  expect_match(noted(pretend(small, 1.2)), "levels of pair have two rows or fewer.*nAGQ")
  expect_identical(noted(pretend(small, 0.8)), "")

  crossed <- quietly(glmm(y ~ x + (1 | g) + (1 | f), d, binomial()))
  expect_match(noted(pretend(crossed, 4)), "method = \"ep\"", fixed = TRUE)
  expect_no_match(noted(pretend(crossed, 4)), "nAGQ")
})

test_that("the size of a random slope does not depend on its unit", {
  fit <- quietly(glmm(y ~ x + (0 + x | g), d, binomial()))
  rescaled <- quietly(glmm(y ~ I(x / 100) + (0 + I(x / 100) | g), d, binomial()))
  expect_equal(term_sd(fit, 1), term_sd(rescaled, 1), tolerance = 1e-4)
})

test_that("the note is said at the fit, and by no other method", {
  set.seed(3)
  wide <- data.frame(g = factor(rep(1:60, each = 4)))
  wide$y <- rbinom(240, 1, plogis(rnorm(60, sd = 6)[wide$g]))
  expect_message(glmm(y ~ 1 + (1 | g), wide, binomial()), class = "partialpool_message_laplace")
  expect_no_message(glmm(y ~ 1 + (1 | g), wide, binomial(), nAGQ = 25),
                    class = "partialpool_message_laplace")
})

test_that("separation is found by every probability link, near the edge too", {
  set.seed(7)
  s <- data.frame(f = factor(rep(c("a", "b"), 100)), z = rnorm(200), g = gl(20, 10))
  s$y <- ifelse(s$f == "b", 1, rbinom(200, 1, plogis(s$z)))
  for (link in c("logit", "probit", "cloglog", "cauchit")) {
    fit <- NULL
    expect_warning(
      fit <- quietly(glmm(y ~ f + z + (1 | g), s, binomial(link))), "`fb` is infinite",
      class = "partialpool_warning_separation"
    )
    expect_identical(unname(is.na(diag(vcov(fit)))), c(FALSE, TRUE, FALSE))
  }
  s$y <- as.numeric(s$z > 0)
  expect_warning(quietly(glmm(y ~ z + (1 | g), s, binomial())), "Complete separation")
})

test_that("a zero inflation that is not there is named", {
  set.seed(5)
  p <- data.frame(g = gl(10, 20), y = rpois(200, 6) + 1)
  expect_warning(
    quietly(glmm(y ~ 1 + (1 | g), p, poisson(), ziformula = ~1)), "extra zero is zero",
    class = "partialpool_warning_separation"
  )
})

test_that("a dispersion at the limit of its family is named", {
  set.seed(6)
  p <- data.frame(g = gl(20, 20))
  p$y <- rbinom(400, 12, 0.5)  # less spread than Poisson counts have
  expect_message(glmm(y ~ 1 + (1 | g), p, "nbinom2"), "poisson\\(\\) fits as well")
})

test_that("quadrature of nothing is the model without random effects", {
  set.seed(8)
  p <- data.frame(x = rnorm(60))
  p$y <- rbinom(60, 1, plogis(p$x))
  fit <- glmm(y ~ x, p, binomial(), nAGQ = 9)
  expect_equal(fixef(fit), coef(stats::glm(y ~ x, binomial(), p)), tolerance = 1e-6)
})
