cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
cbpp_fit <- function(...) quietly(glmm(cbpp_formula, cbpp, binomial(), ...))

with_estimates_of <- function(fit, reference) {
  fit$coefficients[] <- lme4::fixef(reference)
  for (t in seq_along(fit$random)) {
    group <- fit$random[[t]]$group
    b <- lme4::ranef(reference, condVar = FALSE)[[group]]
    fit$b[[t]][] <- as.matrix(b)[rownames(fit$b[[t]]), ]
    fit$Lambda[[t]][] <- t(chol(lme4::VarCorr(reference)[[group]]))
  }
  fit
}

test_that("the same seed draws lme4's numbers", {
  skip_if_not_installed("lme4")
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  fit <- with_estimates_of(cbpp_fit(), reference)
  d <- count_data()
  counts <- lme4::glmer(y ~ x + (1 | g), d, poisson())
  ours <- with_estimates_of(quietly(glmm(y ~ x + (1 | g), d, poisson())), counts)
  for (re.form in list(NA, NULL)) {
    expect_equal(
      simulate(fit, 2, seed = 3, re.form = re.form),
      simulate(reference, 2, seed = 3, re.form = re.form),
      ignore_attr = TRUE
    )
    expect_equal(
      simulate(ours, 2, seed = 3, re.form = re.form),
      simulate(counts, 2, seed = 3, re.form = re.form),
      ignore_attr = TRUE
    )
  }
})

test_that("responses come in the form of the one fitted", {
  fit <- cbpp_fit()
  s <- simulate(fit, 2, seed = 1)
  expect_named(s, c("sim_1", "sim_2"))
  expect_identical(dim(s), c(56L, 2L))
  expect_identical(dim(s$sim_1), c(56L, 2L))
  expect_equal(rowSums(s$sim_2), cbpp$size, ignore_attr = TRUE)
  d <- count_data()
  d$f <- factor(ifelse(d$y > 2, "yes", "no"))
  d$l <- d$y > 2
  d$c <- as.character(d$f)
  drawn <- function(formula) simulate(quietly(glmm(formula, d, binomial())))$sim_1
  expect_identical(levels(drawn(f ~ x + (1 | g))), levels(d$f))
  expect_type(drawn(l ~ x + (1 | g)), "logical")
  expect_setequal(drawn(c ~ x + (1 | g)), c("no", "yes"))
  share <- quietly(glmm(incidence / size ~ period + (1 | herd), cbpp, binomial(), weights = size))
  y <- simulate(share, seed = 1)$sim_1 * cbpp$size
  expect_equal(y, round(y))
})

test_that("a simulated response can be fitted again", {
  fit <- cbpp_fit()
  again <- quietly(refit(fit, simulate(fit, seed = 2)$sim_1))
  expect_s3_class(again, "pp_glmm")
})

test_that("moments are those of the model, for every family", {
  set.seed(9)
  n <- 20000
  for (name in names(distributions)) {
    family <- distributions[[name]]
    p <- list(
      mu = rep(if (family$support == "unit") 0.4 else 2.5, n), phi = rep(3, n),
      trials = rep(if (grepl("binomial", name)) 9 else 1, n), zero = rep(0.2, n),
      shape = if (name == "tweedie") 1.4 else 8
    )
    if (name %in% c("poisson", "binomial")) p$phi[] <- 1
    y <- response_random(family, p)
    m <- response_mean(family, p)[1L]
    v <- response_variance(family, p)[1L]
    expect_lt(abs(mean(y) - m) / sqrt(v / n), 4.5)
    # a heavy tail makes an empirical variance uncertain
    expect_lt(abs(var(y) / v - 1), if (name %in% c("inverse.gaussian", "Gamma")) 0.35 else 0.15)
  }
})

test_that("log densities add up to one and agree with the distribution functions", {
  for (name in names(distributions)) {
    family <- distributions[[name]]
    at <- function(y) {
      list(
        mu = rep(if (family$support == "unit") 0.4 else 2.5, length(y)), phi = rep(3, length(y)),
        trials = rep(if (grepl("binomial", name)) 9 else 1, length(y)),
        shape = if (name == "tweedie") 1.4 else 8
      )
    }
    density <- function(y) exp(family$log_density(y, at(y)))
    step <- family$step(at(0))
    if (step > 0) {
      y <- seq(0, if (family$support == "unit") 1 else 150, by = step)
      expect_equal(sum(density(y)), 1)
      expect_equal(cumsum(density(y))[4:6], family$cdf(y, at(y))[4:6])
    } else {
      from <- switch(family$support, real = -3, 0.05)
      to <- if (family$support == "unit") 0.9 else 4
      inside <- integrate(density, from, to, rel.tol = 1e-9)$value
      expect_equal(inside, diff(family$cdf(c(from, to), at(1:2))), tolerance = 1e-7)
    }
    y <- if (step > 0) 3 * step else 0.4
    expect_equal(family$cdf(y, at(y)) + family$cdf(y, at(y), lower = FALSE), 1)
  }
})

test_that("zero inflation and dispersion enter", {
  fit <- quietly(
    glmm(y ~ x + (1 | g), inflated_data(), nbinom2(), ziformula = ~x, dispformula = ~x)
  )
  draws <- as.matrix(simulate(fit, 1500, seed = 2, re.form = NULL))
  m <- fitted(fit)
  mu <- predict(fit, type = "conditional")
  zero <- predict(fit, type = "zprob")
  v <- (1 - zero) * mu * (1 + mu / predict(fit, type = "disp")) + zero * (1 - zero) * mu^2
  expect_lt(max(abs(rowMeans(draws) - m) / sqrt(v / 1500)), 5)
  expect_lt(abs(mean(apply(draws, 1, var) / v) - 1), 0.1)
  marginal <- simulate(fit, 1500, seed = 2)
  expect_gt(mean(apply(marginal, 1, var) / v), 1.05)
})

test_that("new data may have new groups and bring their trials", {
  fit <- cbpp_fit()
  new <- data.frame(period = factor(c(1, 2)), herd = "new", incidence = 0, size = c(5, 9))
  s <- simulate(fit, 3, seed = 1, newdata = new)
  expect_equal(rowSums(s$sim_1), c(5, 9))
  expect_true(all(rowSums(simulate(fit, newdata = new[1:2])$sim_1) == 1))
  expect_error(simulate(fit, newdata = new, re.form = NULL), class = "partialpool_error_newdata")
  d <- inflated_data()
  zi <- quietly(glmm(y ~ x + (1 | g), d, nbinom2(), ziformula = ~x))
  expect_identical(dim(simulate(zi, 2, newdata = d[1:7, ])), c(7L, 2L))
})

test_that("seeds, padding and wrong arguments", {
  fit <- cbpp_fit()
  set.seed(11)
  before <- .Random.seed
  s <- simulate(fit, 2, seed = 3)
  expect_identical(.Random.seed, before)
  expect_identical(simulate(fit, 2, seed = 3), s)
  expect_identical(
    simulate(fit, 2, seed = 3, use.u = TRUE), simulate(fit, 2, seed = 3, re.form = NULL)
  )
  d <- cbpp
  d$period[4] <- NA
  padded <- simulate(quietly(glmm(cbpp_formula, d, binomial(), na.action = na.exclude)), seed = 1)
  expect_identical(which(is.na(padded$sim_1[, 1L])), 4L)
  expect_identical(row.names(padded), row.names(d))
  expect_error(simulate(fit, 0), class = "partialpool_error_argument")
  expect_error(simulate(fit, use.u = TRUE, re.form = NA), class = "partialpool_error_argument")
  expect_error(simulate(fit, sede = 1), class = "partialpool_error_argument")
})
