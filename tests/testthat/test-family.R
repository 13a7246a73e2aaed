# Families of the package, of stats and of other packages, as glmm() understands them.

named <- function(family) {
  family <- as_family(family)
  c(family$family, family$link)
}

test_that("objects, functions and names mean the same", {
  expect_identical(named(poisson()), c("poisson", "log"))
  expect_identical(named(poisson), c("poisson", "log"))
  expect_identical(named("poisson"), c("poisson", "log"))
  expect_identical(named("Gamma"), c("Gamma", "inverse"))
  expect_identical(named("inverse.gaussian"), c("inverse.gaussian", "1/mu^2"))
  expect_identical(named(binomial("cauchit")), c("binomial", "cauchit"))
  expect_identical(named(nbinom2), c("nbinom2", "log"))
  expect_identical(named(list(family = "nbinom1", link = "sqrt")), c("nbinom1", "sqrt"))
  # names that base uses for other functions
  expect_identical(named(beta), c("beta", "logit"))
  expect_identical(named(t), c("t", "identity"))
})

test_that("families of stats stay what they are", {
  expect_identical(as_family(binomial("probit")), binomial("probit"))
  expect_identical(named(gaussian(make.link("log"))), c("gaussian", "log"))
  expect_identical(named(poisson(power(0.5))), c("poisson", "sqrt"))
})

test_that("families of MASS and glmmTMB become ours", {
  skip_if_not_installed("MASS")
  family <- as_family(MASS::negative.binomial(2.5, link = "sqrt"))
  expect_s3_class(family, c("pp_family", "family"), exact = TRUE)
  expect_identical(family[c("family", "link", "size")],
                   list(family = "nbinom2", link = "sqrt", size = 2.5))
  skip_if_not_installed("glmmTMB")
  expect_identical(named(glmmTMB::nbinom1()), c("nbinom1", "log"))
  expect_identical(named(glmmTMB::beta_family("probit")), c("beta", "probit"))
  expect_identical(named(glmmTMB::tweedie), c("tweedie", "log"))
  expect_identical(named(glmmTMB::truncated_nbinom2()), c("truncated_nbinom2", "log"))
})

test_that("a link is given by name, quoted or not, or as an object", {
  expect_identical(nbinom1(sqrt)$link, "sqrt")
  expect_identical(nbinom1("identity")$link, "identity")
  expect_identical(t_family(inverse)$link, "inverse")
  link <- "cloglog"
  expect_identical(betabinomial(link)$link, "cloglog")
  expect_identical(tweedie(make.link("identity"))$link, "identity")
})

test_that("every family has its links, and link functions that invert each other", {
  mu <- c(0.2, 0.7)
  for (name in names(family_traits)) {
    for (link in family_traits[[name]]$links) {
      family <- new_family(name, link)
      expect_s3_class(family, "family")
      expect_identical(c(family$family, family$link), c(name, link))
      expect_equal(family$linkinv(family$linkfun(mu)), mu)
      h <- 1e-5
      eta <- family$linkfun(mu)
      slope <- (family$linkinv(eta + h) - family$linkinv(eta - h)) / (2 * h)
      expect_equal(family$mu.eta(eta), slope, tolerance = 1e-6)
      expect_true(family$valideta(eta))
    }
  }
})

test_that("variances are those of the table", {
  mu <- c(0.3, 0.6)
  expect_equal(nbinom1()$variance(mu, 2), mu * 3)
  expect_equal(nbinom2()$variance(mu, 2), mu * (1 + mu / 2))
  expect_equal(beta_family()$variance(mu, 4), mu * (1 - mu) / 5)
  expect_equal(betabinomial()$variance(mu, 4, trials = 1), mu * (1 - mu))
  expect_equal(betabinomial()$variance(mu, 4, trials = 6), mu * (1 - mu) / 6 * (1 + 5 / 5))
  expect_equal(tweedie()$variance(mu, 2, power = 1.5), 2 * mu^1.5)
  expect_equal(t_family()$variance(mu, 2, df = 5), rep(10 / 3, 2))
  y <- 1:200
  p <- dpois(y, 0.6) / (1 - dpois(0, 0.6))
  expect_equal(truncated_poisson()$variance(0.6), sum(y^2 * p) - sum(y * p)^2)
})

test_that("deviances are those of MASS and of the literature", {
  skip_if_not_installed("MASS")
  y <- c(0, 3, 7)
  mu <- c(1, 2, 9)
  expect_equal(nbinom2()$dev.resids(y, mu, 1:3, 2),
               MASS::negative.binomial(2)$dev.resids(y, mu, 1:3))
  # power 1 and 2 are the limits: Poisson and gamma
  expect_equal(tweedie()$dev.resids(y[-1], mu[-1], 1, 1 + 1e-7),
               poisson()$dev.resids(y[-1], mu[-1], 1), tolerance = 1e-5)
  expect_equal(tweedie()$dev.resids(y[-1], mu[-1], 1, 2 - 1e-7),
               Gamma()$dev.resids(y[-1], mu[-1], 1), tolerance = 1e-5)
})

test_that("parameters can be held", {
  expect_null(held_dispersion(nbinom2()))
  expect_equal(held_dispersion(nbinom2(size = 3)), log(3))
  expect_equal(held_shape(t_family(df = 4)), log(4))
  expect_equal(held_shape(tweedie(power = 1.3)), qlogis(0.3))
  expect_null(held_shape(binomial()))
  expect_equal(shape_from_engine(tweedie(), qlogis(0.3)), c(power = 1.3))
  expect_equal(shape_from_engine(t_family(), log(7)), c(df = 7))
  expect_error(nbinom2(size = -1), class = "partialpool_error_family")
  expect_error(tweedie(power = 2), "between 1 and 2", class = "partialpool_error_family")
  expect_error(t_family(df = c(1, 2)), class = "partialpool_error_family")
})

test_that("sigma is phi or its root", {
  expect_equal(dispersion_sigma(Gamma(), 4), 2)
  expect_equal(dispersion_sigma(tweedie(), 4), 2)
  expect_equal(dispersion_sigma(nbinom2(), 4), 4)
  expect_equal(dispersion_sigma(beta_family(), 4), 4)
})

test_that("what is no family is refused with a way out", {
  fails <- function(family, text) {
    expect_error(as_family(family), text, class = "partialpool_error_family")
  }
  fails("nbinm2", "Did you mean `nbinom2\\(\\)`")
  fails("negbin", "nbinom2\\(\\)")
  fails("zip", "ziformula = ~1")
  fails(list(family = "compois", link = "log"), "no family \"compois\"")
  fails(3, "It is a number")
  fails(mean, "must be a family")
  fails(NULL, "must be a family")
  fails(NA_character_, "must be a family")
  fails(poisson(power(0.3)), "no link \"mu\\^0.3\".*\"log\"")
  fails(list(family = "poisson", link = "logit"), "Did you mean `log`|\"identity\"")
  fails(binomial("logitt"), "logitt")
  expect_error(nbinom2("logit"), "no link \"logit\"", class = "partialpool_error_family")
  expect_error(nbinom2(3), class = "partialpool_error_family")
})

test_that("quasi families are for penalised quasi-likelihood alone", {
  family <- as_family(quasibinomial("probit"))
  expect_identical(family[c("family", "link", "quasi")],
                   list(family = "binomial", link = "probit", quasi = "quasibinomial"))
  expect_identical(as_family("quasipoisson")$quasi, "quasipoisson")
  expect_error(as_family(quasi()), "no likelihood", class = "partialpool_error_family")
  expect_error(as_family("quasi"), "no likelihood", class = "partialpool_error_family")
  laplace <- list(method = "laplace", nAGQ = 1L)
  expect_error(check_combination(family, laplace, FALSE, NULL), "betabinomial\\(\\)",
               class = "partialpool_error_family")
  expect_null(check_combination(family, list(method = "pql", nAGQ = 1L), FALSE, NULL))
})
