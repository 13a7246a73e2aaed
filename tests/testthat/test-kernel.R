psd <- function(n = 10, r = 5, seed = 1) {
  set.seed(seed)
  G <- matrix(rnorm(n * r), n, dimnames = list(letters[seq_len(n)], NULL))
  list(G = G, K = tcrossprod(G))
}

test_that("the decomposition is economic and gives the matrix back", {
  m <- psd()
  for (k in list(kernel(m$K), kernel(factor = m$G), kernel(Matrix::Matrix(m$K, sparse = TRUE)))) {
    expect_s3_class(k, "pp_kernel")
    expect_identical(c(k$n, k$rank), c(10L, 5L))
    expect_identical(k$ids, letters[1:10])
    expect_equal(kernel_matrix(k), m$K, tolerance = 1e-13)
    expect_equal(tcrossprod(kernel_root(k)), unname(m$K), tolerance = 1e-13)
    expect_equal(crossprod(k$vectors), diag(5), tolerance = 1e-13)
    expect_false(is.unsorted(rev(k$values)))
  }
})

test_that("a factor with more columns than rows is the same kernel", {
  m <- psd(6, 20)
  k <- kernel(factor = m$G)
  expect_identical(k$rank, 6L)
  expect_equal(kernel_matrix(k), m$K, tolerance = 1e-13)
  sparse <- Matrix::Matrix(m$G * (abs(m$G) > 1), sparse = TRUE)
  expect_equal(kernel_matrix(kernel(factor = sparse)), as.matrix(Matrix::tcrossprod(sparse)),
    tolerance = 1e-13
  )
})

test_that("a precision matrix is kept, and decomposed when asked", {
  m <- psd()
  K <- m$K + diag(10)
  P <- solve(K)
  for (k in list(kernel(precision = P), kernel(precision = Matrix::Matrix(P, sparse = TRUE)))) {
    expect_identical(k$source, "precision")
    expect_null(k$values)
    expect_s4_class(k$precision, "dgCMatrix")
    expect_identical(k$rank, 10L)
    expect_equal(kernel_matrix(k), K, tolerance = 1e-12)
    spectrum <- kernel_spectrum(k)
    expect_equal(spectrum$values, eigen(K)$values, tolerance = 1e-12)
    expect_equal(spectrum$vectors %*% (spectrum$values * t(spectrum$vectors)), unname(K),
      tolerance = 1e-12
    )
    expect_equal(tcrossprod(kernel_root(k)), unname(K), tolerance = 1e-12)
    expect_equal(kernel_matrix(decomposed_kernel(k)), K, tolerance = 1e-12)
  }
})

test_that("the rank does not depend on units, nor on rounding errors", {
  m <- psd()
  noise <- 1e-13 * tcrossprod(matrix(sin(1:100), 10))
  for (scale in c(1e-200, 1e-8, 1, 1e8, 1e200)) {
    expect_identical(kernel(scale * (m$K + noise))$rank, 5L)
    expect_equal(kernel(scale * m$K)$values / scale, kernel(m$K)$values, tolerance = 1e-12)
  }
  for (scale in c(1e-150, 1e150)) expect_identical(kernel(factor = scale * m$G)$rank, 5L)
  values <- c(1, 1e-3, 1e-6)
  Q <- qr.Q(qr(matrix(cos(1:30), 10)))
  expect_identical(kernel(Q %*% (values * t(Q)), tolerance = 1e-5)$rank, 2L)
  expect_identical(kernel(Q %*% (values * t(Q)))$rank, 3L)
  G <- Q[, 1:3] * rep(sqrt(values), each = 10)
  expect_identical(kernel(factor = G, tolerance = 1e-5)$rank, 2L)
})

test_that("names are those of the rows, the columns or `ids`", {
  m <- psd()
  expect_identical(kernel(unname(m$K))$ids, NULL)
  expect_identical(kernel(unname(m$K), ids = 11:20)$ids, as.character(11:20))
  expect_identical(kernel(m$K, ids = LETTERS[1:10])$ids, LETTERS[1:10])
  expect_identical(kernel(`rownames<-`(m$K, NULL))$ids, letters[1:10])
  expect_identical(kernel(factor = m$G)$ids, letters[1:10])
})

test_that("a small asymmetry is averaged away", {
  K <- psd()$K + diag(10)
  K[1, 2] <- K[1, 2] * (1 + 1e-10)
  expect_equal(kernel_matrix(kernel(K)), (K + t(K)) / 2, tolerance = 1e-13)
})

test_that("kernels are matched by name", {
  m <- psd()
  K <- m$K + diag(10)
  kernels <- list(
    kernel(K), kernel(precision = solve(K), ids = letters[1:10]), kernel(factor = t(chol(K)))
  )
  ids <- list(rev(letters[1:10]), c("c", "a"), c("b", "b", "a", "j", "b"), letters[1:10])
  for (k in kernels) {
    for (wanted in ids) {
      found <- match_kernel(k, wanted, "the names of `y`")
      expect_identical(found$ids, wanted)
      expect_equal(kernel_matrix(found), K[wanted, wanted], tolerance = 1e-12)
    }
  }
  expect_identical(match_kernel(kernels[[2]], rev(letters[1:10]), "y")$source, "precision")
  expect_equal(kernel_matrix(match_kernel(kernel(m$K), factor(c("b", "e")), "y")),
    m$K[c("b", "e"), c("b", "e")],
    tolerance = 1e-12
  )
})

test_that("names that are not there are named", {
  k <- kernel(psd()$K)
  error <- expect_error(match_kernel(k, c("a", "Z", "zz"), "the names of `y`"),
    class = "partialpool_error_kernel"
  )
  expect_identical(error$ids, c("Z", "zz"))
  expect_match(conditionMessage(error), "\"Z\" and \"zz\"")
  expect_error(match_kernel(kernel(unname(psd()$K)), "a", "the names of `y`"), "has no names")
})

test_that("a matrix will do for a kernel, other things will not", {
  m <- psd()
  expect_identical(as_kernel(m$K), kernel(m$K))
  k <- kernel(m$K)
  expect_identical(as_kernel(k), k)
  expect_identical(as_kernel(Matrix::Matrix(m$K)), k)
  expect_error(as_kernel("K"), class = "partialpool_error_kernel")
  expect_error(as_kernel(m$G), "`kernel` must be square", class = "partialpool_error_kernel")
})

test_that("what is no kernel is refused with its reason", {
  m <- psd()
  K <- m$K
  bad <- function(code, text, topic = "kernel") {
    expect_error(code, text, class = paste0("partialpool_error_", topic))
  }
  bad(kernel(), "None is", "argument")
  bad(kernel(K, m$G), "`K` and `factor`", "argument")
  bad(kernel(K, tolerance = 0), "tolerance", "argument")
  bad(kernel(K, tolerance = 2), "tolerance", "argument")
  bad(kernel(m$G), "must be square")
  bad(kernel(as.data.frame(K)), "data frame")
  bad(kernel("K"), "numeric matrix")
  bad(kernel(matrix("a")), "numeric matrix")
  bad(kernel(matrix(0, 0, 0)), "empty")
  bad(kernel(replace(K, 3, NA)), "missing values.*row c")
  bad(kernel(replace(K, 3, Inf)), "infinite values")
  bad(kernel(factor = replace(m$G, 2, NaN)), "`factor` holds missing")
  bad(kernel(precision = replace(K, 2, NaN)), "`precision` holds missing")
  bad(kernel(0 * K), "is zero")
  bad(kernel(factor = 0 * m$G), "is zero")
  bad(kernel(replace(K, 3, 9)), "not symmetric")
  bad(kernel(K - 2 * diag(10)), "not positive semi-definite")
  bad(kernel(-K), "not positive semi-definite")
  bad(kernel(precision = K), "not positive definite")
  bad(kernel(precision = replace(diag(3), 2, 5)), "not symmetric")
  bad(kernel(K, ids = letters[1:3]), "length 3")
  bad(kernel(K, ids = rep("a", 10)), "\"a\" repeats")
  bad(kernel(K, ids = c(letters[1:9], NA)), "missing values")
  bad(kernel(`colnames<-`(K, rev(letters[1:10]))), "not its column names")
})
