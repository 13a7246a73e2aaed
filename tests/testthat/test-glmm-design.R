# The design of a generalised model: response by family, trials, further predictors.

d <- data.frame(
  g = factor(rep(1:4, each = 6)), f = factor(rep(c("a", "b", "c"), 8)),
  x = c(1, 2, 17, 9, 23, 12, 5, 20, 14, 10, 3, 24, 7, 16, 22, 4, 11, 19, 8, 13, 6, 21, 15, 18) / 10,
  s = c(0, 1, 0, 0, 2, 0, 1, 0, 1, 2, 1, 0, 3, 1, 2, 2, 1, 3, 2, 4, 3, 3, 5, 2),
  n = rep(c(4, 5, 3), 8), y = rep(c(0, 1, 1), 8), o = sqrt(1:24)
)
binary <- function(formula, data = d, ...) design(formula, data, family = binomial(), ...)

test_that("a response of zeros and ones has many forms", {
  y <- d$y
  same <- function(response) {
    data <- d
    data$r <- response
    made <- binary(r ~ x + (1 | g), data)
    expect_identical(made$y, y)
    expect_null(made$trials)
    expect_null(made$weights)
    expect_s3_class(made, c("pp_glmm_design", "pp_design"), exact = TRUE)
  }
  same(y)
  same(y == 1)
  same(factor(y))
  same(factor(ifelse(y == 1, "yes", "no"), c("no", "yes")))
  same(ifelse(y == 1, "b", "a"))
  same(factor(ifelse(y == 1, "b", "a"), c("a", "b", "unused")))
  same(as.integer(y))
  same(cbind(y))
})

test_that("the first level of a factor is failure, used or not", {
  data <- transform(d, r = factor("yes", c("no", "yes")))
  expect_warning(made <- binary(r ~ x + (1 | g), data), class = "partialpool_warning_response")
  expect_identical(made$y, rep(1, 24))
})

test_that("successes and failures, and proportions with trials, are the same", {
  pair <- binary(cbind(s, n - s) ~ x + (1 | g))
  share <- binary(s / n ~ x + (1 | g), weights = n)
  expect_equal(pair$y, d$s / d$n)
  expect_equal(pair$trials, d$n)
  expect_equal(share$y, pair$y)
  expect_equal(share$trials, pair$trials)
  expect_null(share$weights)
  weighted <- binary(cbind(s, n - s) ~ x + (1 | g), weights = o)
  expect_equal(weighted$weights, d$o)
  expect_equal(weighted$trials, d$n)
})

test_that("rows without trials or weight are left out and counted", {
  data <- transform(d, n = ifelse(x < 0.25, 0, n), s = ifelse(x < 0.25, 0, s))
  expect_message(made <- binary(cbind(s, n - s) ~ x + (1 | g), data),
                 "2 rows without trials", class = "partialpool_message_response")
  expect_length(made$y, 22L)
  expect_identical(made$dropped_weights, 2L)
  expect_message(share <- binary(s / n ~ x + (1 | g), data, weights = n, subset = x != 1),
                 class = "partialpool_message_weights")
  expect_length(share$y, 21L)
  # of both kinds, by row names and with missing values
  data$o[3:4] <- 0
  data$x[10] <- NA
  said <- capture_messages(
    both <- binary(cbind(s, n - s) ~ x + (1 | g), data, weights = o, subset = as.character(1:20))
  )
  expect_length(said, 2L)
  expect_length(both$y, 15L)
  expect_identical(both$dropped_weights, 4L)
  expect_error(binary(cbind(0 * s, 0 * s) ~ x + (1 | g)), "No row has any trials",
               class = "partialpool_error_response")
})

test_that("counts, positive numbers and others are checked by family", {
  make <- function(y, family, ...) {
    data <- d
    data$r <- y
    design(r ~ x + (1 | g), data, family = family, ...)
  }
  refused <- function(y, family, text = "row 2") {
    expect_error(make(y, family), text, class = "partialpool_error_response")
  }
  at <- function(value) replace(0.3 + d$y / 2, 2, value)
  expect_identical(make(d$s, poisson())$y, d$s)
  expect_identical(make(d$y == 1, "nbinom2")$y, d$y)
  refused(at(-1), "poisson", "Negative values")
  refused(at(0), Gamma())
  refused(at(-1), "inverse.gaussian")
  refused(at(0), "beta")
  refused(at(1), "beta")
  refused(at(-1), "tweedie")
  refused(at(0), "truncated_poisson")
  expect_identical(make(at(0), "tweedie")$y[2], 0)
  expect_identical(make(at(-3), "t")$y[2], -3)
  # zeros that are modelled apart
  for (family in c("truncated_nbinom2", "beta", "Gamma")) {
    y <- if (family == "truncated_nbinom2") d$s else at(0)
    expect_identical(make(y, family, ziformula = ~1)$y, y)
  }
  expect_warning(make(d$s + 0.5, "nbinom1"), "non-integer", class = "partialpool_warning_response")
  expect_no_warning(make(d$s * (1 + 1e-15), "poisson"))
})

test_that("models of dispersion and zero inflation share the frame", {
  made <- design(s ~ x + (1 | g), d, family = nbinom2(), ziformula = ~f, dispformula = ~ o + f)
  expect_identical(colnames(made$zi$X), c("(Intercept)", "fb", "fc"))
  expect_identical(colnames(made$dispersion$X), c("(Intercept)", "o", "fb", "fc"))
  expect_identical(deparse1(made$zi$formula), "~f")
  expect_identical(made$zi$xlevels, list(f = c("a", "b", "c")))
  expect_length(attr(made$zi$terms, "variables"), 2L)
  expect_true(all(c("s", "x", "g", "f", "o") %in% names(made$frame)))
  expect_identical(colnames(made$X), c("(Intercept)", "x"))

  data <- d
  data$f[2] <- NA
  data$o[3] <- NA
  short <- design(s ~ x + (1 | g), data, family = nbinom2(), ziformula = ~f, dispformula = ~o)
  expect_length(short$y, 22L)
  expect_identical(nrow(short$zi$X), 22L)
  expect_identical(nrow(short$dispersion$X), 22L)
})

test_that("a dispersion is constant unless modelled, and there only where the family has one", {
  expect_identical(colnames(design(s ~ x, d, family = nbinom1())$dispersion$X), "(Intercept)")
  expect_null(design(s ~ x, d, family = poisson())$dispersion)
  expect_null(design(s ~ x, d, family = poisson(), dispformula = ~1)$dispersion)
  expect_null(design(s ~ x, d, family = poisson(), ziformula = ~0)$zi)
  expect_null(design(s ~ x, d, family = poisson())$zi)
  held <- design(s ~ x, d, family = nbinom2(size = 2))
  expect_identical(ncol(glmm_rows(held)$X_disp), 0L)
  expect_identical(ncol(glmm_rows(design(s ~ x, d, family = nbinom2()))$X_disp), 1L)
})

test_that("dependent columns of the parts are left out by name", {
  expect_message(
    made <- design(s ~ x, d, family = nbinom2(), ziformula = ~ x + I(2 * x), dispformula = ~ 0 + f),
    "`ziformula` left out: `I\\(2 \\* x\\)`", class = "partialpool_message_rank"
  )
  expect_identical(colnames(made$zi$X), c("(Intercept)", "x"))
  expect_identical(colnames(made$dispersion$X), c("fa", "fb", "fc"))
})

test_that("contrasts are for the factors of each part", {
  made <- design(s ~ x, d, family = nbinom2(), ziformula = ~f, contrasts = list(f = "contr.sum"))
  expect_identical(colnames(made$zi$X), c("(Intercept)", "f1", "f2"))
  expect_identical(made$zi$contrasts, list(f = "contr.sum"))
  expect_null(made$contrasts)
  both <- design(s ~ f, d, family = nbinom2(), ziformula = ~x, contrasts = list(f = "contr.sum"))
  expect_identical(colnames(both$X), c("(Intercept)", "f1", "f2"))
})

test_that("a dot in a part is the other columns", {
  made <- design(s ~ x + (1 | g), d[c("s", "x", "g", "o")], family = poisson(), ziformula = ~.)
  expect_identical(colnames(made$zi$X), c("(Intercept)", "x", "g2", "g3", "g4", "o"))
  expect_identical(deparse1(made$formula), "s ~ x + (1 | g)")
})

test_that("the columns that the engine reads are numbers of full size", {
  made <- design(s ~ x + (1 | g), d, family = nbinom2(), ziformula = ~f, offset = 1)
  rows <- glmm_rows(made)
  expect_identical(
    vapply(rows[c("X", "y", "offset", "X_disp", "X_zi")], storage.mode, "", USE.NAMES = FALSE),
    rep("double", 5)
  )
  expect_identical(rows$offset, rep(1, 24))
})

test_that("how fine a group may be depends on the family", {
  data <- transform(d, row = factor(1:24))
  fine <- function(y, family, ...) {
    data$y <- y
    design(y ~ x + (1 | row), data, family = family, ...)
  }
  expect_s3_class(fine(d$s, poisson()), "pp_glmm_design")
  expect_s3_class(fine(d$s, nbinom2()), "pp_glmm_design")
  expect_s3_class(fine(d$s / d$n, binomial(), weights = n), "pp_glmm_design")
  expect_error(fine(d$y, binomial()), "0/1 response", class = "partialpool_error_group")
  expect_error(fine(d$s + 1, Gamma()), "dispersion", class = "partialpool_error_group")
  expect_error(fine(d$s + 1, gaussian("log")), "dispersion", class = "partialpool_error_group")
  # as many random effects as rows
  pair <- transform(data, pair = factor(rep(1:12, 2)))
  expect_s3_class(design(s ~ x + (x | pair), pair, family = poisson()), "pp_glmm_design")
  expect_error(design(s + 1 ~ x + (x | pair), pair, family = Gamma()),
               class = "partialpool_error_identifiability")
})

test_that("a design without a family is that of a linear model", {
  made <- design(s ~ x + (1 | g), d)
  expect_s3_class(made, "pp_design", exact = TRUE)
  expect_null(made$family)
})

test_that("the objective has value, gradient and the names of all parameters", {
  made <- design(s ~ x + (1 | g), d, family = nbinom2(), ziformula = ~1)
  f <- objective(made)
  names <- c("g.(Intercept)", "(Intercept)", "x", "disp.(Intercept)", "zi.(Intercept)")
  expect_identical(f$names, names)
  at <- c(0.5, 0.2, 0.1, 1, -1)
  h <- 1e-5
  numeric <- vapply(seq_along(at), function(k) {
    move <- replace(numeric(5), k, h)
    (f$value(at + move) - f$value(at - move)) / (2 * h)
  }, 0)
  expect_equal(f$gradient(at), stats::setNames(numeric, names), tolerance = 1e-5)
  expect_error(f$value(1), "5 values", class = "partialpool_error_start")
  expect_identical(objective(made, REML = TRUE)$names, names[c(1, 4, 5)])
  expect_identical(objective(made, nAGQ = 0)$names, names[c(1, 4, 5)])
  expect_identical(objective(made, method = "agq")$model$nAGQ, 11L)
  expect_error(objective(made, method = "pql"), class = "partialpool_error_argument")
  expect_error(objective(3), class = "partialpool_error_argument")
  expect_output(print(f), "Laplace.*nbinom2")
})

test_that("starting values lead to the same optimum", {
  made <- design(cbind(s, n - s) ~ x + (1 | g), d, family = binomial())
  f <- objective(made)
  best <- optimum(f)
  for (start in list(0.5, list(theta = 0.5), list(fixef = c(0, 0)), c(0.5, 0, 0),
                     list(theta = 2, fixef = c(0.1, 0)))) {
    expect_equal(optimum(f, start = start)$criterion, best$criterion, tolerance = 1e-8)
  }
  by_call <- glmm(cbind(s, n - s) ~ x + (1 | g), d, binomial(), start = 0.4)
  expect_equal(by_call$criterion, best$criterion, tolerance = 1e-8)
  fit <- new_fit(f, best)
  expect_s3_class(fit, c("pp_glmm", "pp_fit"), exact = TRUE)
  expect_null(fit$call)
})

test_that("a fit has the elements of its kind", {
  fit <- quietly(glmm(s ~ x + (1 | g), d, nbinom2(), ziformula = ~1, dispformula = ~x,
                      control = pp_control(check = FALSE)))
  expect_named(fit, c(
    "formula", "call", "family", "method", "nAGQ", "REML", "frame", "terms", "xlevels", "contrasts",
    "X", "column_names", "aliased", "y", "trials", "weights", "offset", "random", "dispersion",
    "zi", "shape", "coefficients", "theta", "Lambda", "b", "sigma", "vcov", "vcov_full",
    "criterion", "penalty", "df", "n", "convergence", "prior", "na.action", "dropped_weights",
    "inner", "control"
  ))
  expect_identical(names(fit$dispersion$coefficients), c("(Intercept)", "x"))
  expect_identical(names(fit$zi$coefficients), "(Intercept)")
  expect_false(fit$dispersion$fixed)
  expect_identical(fit$sigma, NA_real_)
  expect_identical(fit$df, 6L)
  expect_identical(rownames(fit$vcov), c("(Intercept)", "x"))
  expect_identical(rownames(fit$vcov_full), c(
    "(Intercept)", "x", "disp.(Intercept)", "disp.x", "zi.(Intercept)", "g.(Intercept)"
  ))
  expect_identical(random_scale(fit), 1)
  expect_false(any(vapply(fit, typeof, "") == "externalptr"))
  again <- unserialize(serialize(fit, NULL))
  expect_equal(glmm_value(engine(again), engine_parameters(again)), fit$criterion, tolerance = 1e-8)
})

test_that("held parameters are not counted", {
  held <- quietly(glmm(s ~ x + (1 | g), d, nbinom2(size = 2)))
  expect_identical(held$df, 3L)
  expect_equal(held$sigma, 2)
  expect_true(held$dispersion$fixed)
  expect_equal(exp(held$dispersion$coefficients[[1]]), 2)
  free <- quietly(glmm(s ~ x + (1 | g), d, t_family()))
  fixed <- quietly(glmm(s ~ x + (1 | g), d, t_family(df = 5)))
  expect_named(free$shape, "df")
  expect_equal(fixed$shape, c(df = 5))
  expect_identical(free$df - fixed$df, 1L)
})

test_that("a formula may be given as text", {
  by_text <- glmm("cbind(s, n - s) ~ x + (1 | g)", d, "binomial")
  by_formula <- glmm(cbind(s, n - s) ~ x + (1 | g), d, binomial())
  expect_identical(by_text$criterion, by_formula$criterion)
  expect_identical(by_text$call[[1]], quote(glmm))
  expect_identical(formula(update(by_text, . ~ . - x)), cbind(s, n - s) ~ (1 | g),
                   ignore_formula_env = TRUE)
  linear <- lmm("Reaction ~ Days + (1 | Subject)", sleepstudy)
  expect_identical(linear$criterion, lmm(Reaction ~ Days + (1 | Subject), sleepstudy)$criterion)
})

test_that("data, weights and family are found through wrappers and update()", {
  wrapper <- function(hidden, fam, ...) glmm(s / n ~ x + (1 | g), hidden, fam, ...)
  fit <- wrapper(d, binomial("probit"), weights = n)
  expect_identical(fit$trials, d$n)
  expect_identical(fit$family$link, "probit")
  arguments <- list(quote(cbind(s, n - s) ~ x + (1 | g)), data = d, family = "binomial")
  by_call <- do.call(glmm, arguments)
  logit <- glmm(s / n ~ x + (1 | g), d, binomial(), weights = n)
  expect_equal(by_call$criterion, logit$criterion)
  expect_equal(update(logit, family = binomial("probit"))$criterion, fit$criterion)
  expect_identical(update(logit, nAGQ = 5)$nAGQ, 5L)
})

test_that("a gaussian model with a prior or a dispersion model is a generalised one", {
  plain <- glmm(o ~ x + (1 | g), d, gaussian())
  expect_s3_class(plain, "pp_lmm")
  expect_identical(plain$call[[1]], quote(glmm))
  expect_equal(plain$criterion, lmm(o ~ x + (1 | g), d, REML = FALSE)$criterion)
  expect_true(update(plain, REML = TRUE)$REML)
  flat <- quietly(glmm(o ~ x + (1 | g), d, gaussian(), prior = Inf))
  expect_s3_class(flat, "pp_glmm")
  expect_equal(flat$criterion, plain$criterion, tolerance = 1e-7)
  expect_equal(unname(flat$sigma), unname(plain$sigma), tolerance = 1e-4)
  expect_s3_class(quietly(glmm(o ~ x + (1 | g), d, gaussian(), dispformula = ~f)), "pp_glmm")
})

test_that("penalised quasi-likelihood has a free dispersion for quasi families alone", {
  held <- glmm(cbind(s, n - s) ~ x + (1 | g), d, binomial(), method = "pql")
  free <- glmm(cbind(s, n - s) ~ x + (1 | g), d, quasibinomial(), method = "pql")
  expect_null(held$dispersion)
  expect_identical(held$sigma, 1)
  expect_identical(free$df, held$df + 1L)
  expect_equal(free$sigma^2, exp(free$dispersion$coefficients[[1]]))
  expect_identical(held$criterion, NA_real_)
  for (fit in list(held, free)) {
    expect_true(all(is.finite(fit$vcov)))
    expect_identical(nrow(fit$vcov_full), fit$df)
    expect_identical(fit$theta[[1]], abs(fit$Lambda[[1]][1]))
  }
  skip_if_not_installed("MASS")
  other <- MASS::glmmPQL(cbind(s, n - s) ~ x, ~ 1 | g, binomial(), d, verbose = FALSE)
  expect_equal(fixef(free), fixef(other), tolerance = 1e-4)
  expect_equal(free$sigma, other$sigma, tolerance = 1e-3)
})
