refused <- function(code, text, topic) {
  expect_error(code, text, class = paste0("partialpool_error_", topic))
}

test_that("names bring the kernel into the order of the data", {
  d <- kernel_data()
  mixed <- rev(seq_len(d$n))
  inputs <- kernel_inputs(d$count[mixed], d$X[mixed, ], d$K, "poisson")
  expect_identical(inputs$kernel$ids, names(d$count)[mixed])
  expect_equal(kernel_matrix(inputs$kernel), d$K[mixed, mixed], tolerance = 1e-12)
  expect_identical(inputs$names, names(d$count)[mixed])
  X <- `rownames<-`(d$X, names(d$count))[mixed, ]
  expect_equal(kernel_inputs(unname(d$count[mixed]), X, d$K, "poisson")$kernel, inputs$kernel)
  some <- c(2, 5, 2)
  inputs <- kernel_inputs(d$normal[some], NULL, d$K)
  expect_equal(kernel_matrix(inputs$kernel), d$K[some, some], tolerance = 1e-12)
})

test_that("without names, and with those that R makes up, order is position", {
  d <- kernel_data()
  X <- `rownames<-`(d$X, seq_len(d$n))
  inputs <- kernel_inputs(unname(d$count), X, d$K, poisson())
  expect_equal(kernel_matrix(inputs$kernel), d$K, tolerance = 1e-12)
  expect_identical(inputs$names, rownames(d$K))
  refused(kernel_inputs(unname(d$count), NULL, d$K[1:5, 1:5], poisson()), "5 samples", "kernel")
  refused(kernel_inputs(unname(d$count), NULL, diag(d$n + 1L), poisson()), "must have a row",
    "kernel")
})

test_that("a kernel with mere numbers for names is one without names", {
  d <- kernel_data()
  K <- `dimnames<-`(d$K, list(1:14, 1:14))
  inputs <- kernel_inputs(d$count, NULL, K, poisson())
  expect_equal(kernel_matrix(inputs$kernel), K, tolerance = 1e-12)
  expect_identical(inputs$names, names(d$count))
  expect_null(kernel_inputs(unname(d$count), NULL, K, poisson())$names)
  # But numbers that the data use are names.
  numbered <- stats::setNames(d$count, 14:1)
  expect_equal(kernel_matrix(kernel_inputs(numbered, NULL, K, poisson())$kernel), K[14:1, 14:1],
    tolerance = 1e-12)
})

test_that("names that disagree are errors", {
  d <- kernel_data()
  refused(kernel_inputs(stats::setNames(d$count, paste0("q", 1:14)), NULL, d$K, poisson()),
    "names of `y`", "kernel")
  X <- `rownames<-`(d$X, rev(names(d$count)))
  refused(kernel_inputs(d$count, X, d$K, poisson()), "not named as", "variable")
  refused(kernel_inputs(unname(d$count), `rownames<-`(d$X, letters[1:14]), d$K, poisson()),
    "row names of `X`", "kernel")
})

test_that("a kernel by its precision is decomposed, no kernel stays none", {
  d <- kernel_data()
  K <- d$K + diag(d$n)
  inputs <- kernel_inputs(d$count, d$X, kernel(precision = solve(K)), poisson())
  expect_length(inputs$kernel$values, d$n)
  expect_equal(kernel_matrix(inputs$kernel), K, tolerance = 1e-10)
  expect_null(kernel_inputs(d$count, d$X, NULL, poisson())$kernel)
})

test_that("X becomes a matrix with names, without dependent columns", {
  d <- kernel_data()
  x <- d$X[, "x"]
  columns <- function(X) colnames(kernel_inputs(d$count, X, d$K, poisson())$X)
  expect_identical(columns(NULL), "(Intercept)")
  expect_identical(columns(x), "x1")
  expect_identical(columns(cbind(1, b = x, exp(x))), c("x1", "b", "x3"))
  expect_identical(columns(cbind(a = x, a = exp(x))), c("a", "a_1"))
  expect_identical(columns(data.frame(u = x, v = x > 0)), c("u", "v"))
  expect_identical(columns(Matrix::Matrix(d$X)), colnames(d$X))
  expect_length(columns(matrix(0, d$n, 0L)), 0L)
  X <- cbind(d$X, twice = 2 * x, zero = 0, last = x^2)
  expect_message(inputs <- kernel_inputs(d$count, X, d$K, poisson()), "`twice`.*`zero`",
    class = "partialpool_message_rank"
  )
  expect_identical(inputs$aliased, c("twice", "zero"))
  expect_identical(inputs$column_names, colnames(X))
  expect_identical(inputs$X, X[, c(1, 2, 5)], ignore_attr = TRUE)
})

test_that("units and large means are no dependence, rounding is", {
  d <- kernel_data()
  x <- d$X[, "x"]
  aliased <- function(X) kernel_inputs(d$count, X, d$K, poisson(), check = FALSE)$aliased
  expect_length(aliased(cbind(1, 1e9 + x)), 0L)
  expect_length(aliased(cbind(1e-10 * x, 1, 1e10 * exp(x))), 0L)
  expect_identical(aliased(cbind(-3e-16, a = 15 * x)), "x1")
  expect_identical(aliased(cbind(1, x, 7)), "x3")
  expect_identical(aliased(cbind(a = 1 + x, b = x, c = 1)), "b")
})

test_that("what X cannot be is refused", {
  d <- kernel_data()
  bad <- function(X, text, topic = "variable") {
    refused(kernel_inputs(d$count, X, d$K, poisson()), text, topic)
  }
  bad(d$X[1:4, ], "4 rows")
  bad(replace(d$X, 16, NA), "missing value.*\"x\".*row 2")
  bad(replace(d$X, 16, Inf), "infinite value")
  bad(~x, "numeric matrix")
  bad(data.frame(f = letters[1:14]), "model.matrix")
  bad(letters[1:14], "numeric matrix")
  bad(diag(d$n), "as many fixed effects", "rank")
})

test_that("responses of every form come to the same", {
  d <- kernel_data()
  y <- as.numeric(d$yes)
  forms <- list(
    y, y == 1, factor(c("no", "yes")[1 + y]), c("no", "yes")[1 + y], cbind(y, 1 - y),
    as.integer(y), matrix(y, ncol = 1L)
  )
  for (form in forms) {
    inputs <- kernel_inputs(form, NULL, d$K, binomial())
    expect_identical(inputs$y, y)
    expect_identical(inputs$trials, rep(1, d$n))
    back <- as_kernel_response(list(response = inputs$response, trials = inputs$trials), inputs$y)
    expect_equal(back, if (is.matrix(form) && ncol(form) == 1L) y else form, ignore_attr = TRUE)
  }
  counts <- kernel_inputs(d$successes, NULL, d$K, binomial(), trials = d$trials)
  expect_equal(counts$y, unname(d$successes) / d$trials)
  expect_identical(counts$trials, d$trials)
  expect_identical(as_kernel_response(counts, counts$y), as.numeric(d$successes))
  both <- cbind(yes = d$successes, no = d$trials - d$successes)
  pairs <- kernel_inputs(both, NULL, d$K, "binomial")
  expect_identical(pairs[c("y", "trials")], counts[c("y", "trials")])
  expect_equal(as_kernel_response(pairs, pairs$y)[, "no"], unname(d$trials - d$successes))
  many <- kernel_inputs(0:13 * 7, NULL, d$K, "binomial", trials = 1e5)
  expect_identical(many$trials, rep(1e5, d$n))
})

test_that("a response that will not do is refused by name", {
  d <- kernel_data()
  bad <- function(y, text, topic = "response", family = poisson(), ...) {
    refused(kernel_inputs(y, NULL, d$K, family, ...), text, topic)
  }
  y <- unname(d$count)
  bad(replace(y, 3, NA), "missing value.*row 3")
  bad(replace(d$count, 3, Inf), "infinite value.*row s3")
  bad(replace(y, 3, -1), "Negative values")
  bad(c(y, 1), "`y` has 15", "kernel")
  bad(NULL, "must be the response")
  bad(list(1), "must be the response")
  bad(letters[1:14], "numeric")
  bad(letters[1:14], "numeric", family = NULL)
  bad(cbind(y, y), "single column")
  bad(rep(1, 14), "constant", family = NULL)
  bad(rep(1, 14), "constant", family = Gamma("log"))
  bad(y * 0, "positive", family = Gamma("log"))
  bad(y, "no likelihood", "family", quasipoisson())
  bad(y, "There is no family", "family", "poison")
  bad(y, "one value", "offset", offset = 1:3)
  expect_warning(kernel_inputs(y + 0.5, NULL, d$K, poisson()), "non-integer counts",
    class = "partialpool_warning_response"
  )
  expect_no_warning(kernel_inputs(y + 0.5, NULL, d$K, poisson(), check = FALSE))
})

test_that("trials are there, whole, and not less than successes", {
  d <- kernel_data()
  bad <- function(text, topic, ..., y = d$successes) {
    refused(kernel_inputs(y, NULL, d$K, binomial(), ...), text, topic)
  }
  bad("`trials` is missing", "response")
  bad("`trials` is missing", "response", y = d$successes / 10)
  bad("greater than `trials`", "response", trials = 1)
  bad("whole numbers", "argument", trials = d$trials + 0.5)
  bad("whole numbers", "argument", trials = 0)
  bad("finite", "argument", trials = NA_real_)
  bad("numeric vector", "argument", trials = "a")
  bad("one value", "argument", trials = 1:3)
  bad("negative successes", "response", trials = 9, y = -d$successes)
  bad("looks like a proportion", "response", trials = 9, y = d$successes / 9)
  bad("two columns", "argument", trials = 9, y = cbind(d$successes, 1))
  refused(kernel_inputs(d$count, NULL, d$K, poisson(), trials = 9), "no meaning", "argument")
  refused(kernel_inputs(d$count, NULL, d$K, trials = 9), "no meaning", "argument")
})

test_that("offsets and noise are numbers of the rows", {
  d <- kernel_data()
  expect_identical(kernel_inputs(d$count, NULL, d$K, poisson(), offset = 2)$offset, rep(2, d$n))
  refused(kernel_inputs(d$count, NULL, d$K, poisson(), offset = "a"), "numeric", "offset")
  refused(kernel_inputs(d$count, NULL, d$K, poisson(), offset = NaN), "finite", "offset")
  expect_identical(kernel_inputs(d$normal, NULL, d$K, noise_var = 1:14)$noise_var, as.numeric(1:14))
  refused(kernel_inputs(d$normal, NULL, d$K, noise_var = 0), "positive", "argument")
  refused(kernel_inputs(d$normal, NULL, d$K, noise_var = c(1, Inf)), "one value", "argument")
})

test_that("a response of several columns is taken where it is allowed", {
  d <- kernel_data()
  y <- cbind(a = d$normal, b = d$z)
  expect_identical(kernel_inputs(y, NULL, d$K, matrix_y = TRUE)$y, y)
  refused(kernel_inputs(y, NULL, d$K), "single column", "response")
})

test_that("values of parameters are checked and completed", {
  d <- kernel_data()
  given <- function(..., family = NULL) {
    y <- if (is.null(family)) d$normal else d$count
    kernel_inputs(y, d$X, d$K, family, start = list(...))$start
  }
  expect_identical(given(), list())
  expect_equal(given(v0 = 5.4, v1 = 0.6), list(scale = 6, delta = 0.1), tolerance = 1e-14)
  expect_identical(given(beta = c(x = 1, "(Intercept)" = 2))$beta, c("(Intercept)" = 2, x = 1))
  expect_identical(given(beta = 3:4)$beta, c("(Intercept)" = 3, x = 4))
  expect_identical(given(delta = 0)$delta, 0)
  expect_identical(given(dispersion = 2, family = nbinom2())$dispersion, 2)
  expect_null(kernel_inputs(d$normal, d$X, d$K)$fix)
  expect_identical(kernel_inputs(d$normal, d$X, d$K, fix = list())$fix, list())
  inputs <- kernel_inputs(d$count, d$X, d$K, nbinom2(size = 3), fix = list(delta = 0.5))
  expect_equal(inputs$held, list(delta = 0.5, dispersion = 3))
  expect_equal(kernel_inputs(d$normal, d$X, d$K, t_family(df = 4))$held, list(shape = 4))
})

test_that("values that no parameter can have are refused", {
  d <- kernel_data()
  bad <- function(text, ..., family = NULL) {
    y <- if (is.null(family)) d$normal else d$count
    refused(kernel_inputs(y, d$X, d$K, family, start = list(...)), text, "start")
    refused(kernel_inputs(y, d$X, d$K, family, fix = list(...)), text, "argument")
  }
  bad("between 0 and 1", delta = 2)
  bad("between 0 and 1", delta = -0.1)
  bad("positive number", scale = 0)
  bad("positive number", scale = NA_real_)
  bad("positive number", scale = "a")
  bad("both", v0 = 1)
  bad("both", v0 = 1, v1 = 1, scale = 2)
  bad("not both be zero", v0 = 0, v1 = 0)
  bad("not negative", v0 = -1, v1 = 1)
  bad("2 finite numbers", beta = 1:3)
  bad("2 finite numbers", beta = c(1, NA))
  bad("no value for `x`", beta = c("(Intercept)" = 1, z = 2))
  bad("no parameters: \"dleta\"", dleta = 1)
  bad("twice", scale = 1, scale = 2)
  fixing <- function(...) kernel_inputs(d$count, d$X, d$K, ..., fix = list(dispersion = 1))
  refused(fixing(), "no dispersion", "argument")
  refused(fixing(poisson()), "\"poisson\" has no dispersion", "argument")
  fix <- list(shape = 1)
  refused(kernel_inputs(d$count, d$X, d$K, nbinom2(), fix = fix), "no shape", "argument")
  start <- list(shape = -1)
  refused(kernel_inputs(d$normal, d$X, d$K, t_family(), start = start), "positive", "start")
  refused(kernel_inputs(d$normal, d$X, d$K, start = list(3)), "named list", "start")
  refused(kernel_inputs(d$normal, d$X, d$K, start = 1), "named list", "start")
})

test_that("a fit has its classes, names and number of parameters", {
  fit <- noise_fit()
  expect_s3_class(fit, c("pp_kernel_lmm", "pp_kernel_fit", "pp_fit"), exact = TRUE)
  expect_identical(fit$df, 4L)
  expect_identical(names(fit$coefficients), c("(Intercept)", "x"))
  expect_identical(dimnames(fit$vcov), list(names(fit$coefficients), names(fit$coefficients)))
  expect_equal(kernel_variances(fit), c(v0 = 1.4, v1 = 0.6))
  expect_s3_class(poisson_ep_fit(), "pp_kernel_glmm")
  d <- kernel_data()
  inputs <- kernel_inputs(d$normal, matrix(0, d$n, 0L), NULL, t_family())
  fit <- new_kernel_fit(inputs,
    call = NULL, model = "ep", coefficients = numeric(), scale = 1, delta = 1, dispersion = 2,
    shape = 5, fixed = c(scale = TRUE, shape = TRUE), logLik = -1
  )
  expect_identical(fit$df, 1L)
  expect_identical(fit$fixed,
    c(beta = TRUE, scale = TRUE, delta = TRUE, dispersion = FALSE, shape = TRUE)
  )
  expect_identical(fit$shape, c(df = 5))
})

test_that("a fit without data to estimate from is allowed at given parameters", {
  d <- kernel_data()
  expect_no_error(kernel_inputs(rep(1, d$n), diag(d$n), d$K, fit = FALSE))
})
