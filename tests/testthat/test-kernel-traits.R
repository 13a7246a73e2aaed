# The model of several traits against published fits and against its definition, the covariance of
# vec(Y) written out.

trait_records <- readRDS(test_path("fixtures", "kernel_lmm.rds"))

trait_record_data <- function() {
  data <- trait_records$n50
  G <- data$G
  Z <- sweep(G, 2L, colMeans(G))
  Z <- sweep(Z, 2L, sqrt(colMeans(Z^2)), "/")
  list(
    Y = data$y[, c("y_normal_lowrank", "y_normal_grm")], X = data$X,
    kernel = kernel(factor = Z[, 1:5] / sqrt(5)), G = G, Z = Z
  )
}

log_det <- function(m) as.numeric(determinant(m)$modulus)

dense_traits <- function(Y, X, K, B, C0, C1, REML) {
  V <- kronecker(C0, K) + kronecker(C1, diag(nrow(Y)))
  e <- c(Y - X %*% B)
  value <- -0.5 * (length(e) * log(2 * pi) + log_det(V) + sum(e * solve(V, e)))
  if (REML) {
    XX <- kronecker(diag(ncol(Y)), X)
    value <- value + 0.5 * ncol(XX) * log(2 * pi) - 0.5 * log_det(crossprod(XX, solve(V, XX)))
  }
  value
}

trait_data <- function(n = 12, t = 3, r = 5, seed = 1) {
  set.seed(seed)
  G <- matrix(rnorm(n * r), n)
  X <- cbind(one = 1, x = rnorm(n))
  root0 <- matrix(rnorm(t * t), t) / sqrt(t)
  root1 <- diag(t) + 0.3 * matrix(rnorm(t * t), t)
  Y <- X %*% matrix(rnorm(2 * t), 2) + G %*% matrix(rnorm(r * t), r) %*% root0 / sqrt(r) +
    matrix(rnorm(n * t), n) %*% root1
  colnames(Y) <- letters[seq_len(t)]
  list(Y = Y, X = X, G = G, K = tcrossprod(G) / r, C0 = crossprod(root0), C1 = crossprod(root1))
}

lower <- function(C) C[lower.tri(C, diag = TRUE)]
from_lower <- function(x, t) {
  C <- matrix(0, t, t)
  C[lower.tri(C, diag = TRUE)] <- x
  C + t(C) - diag(diag(C))
}

test_that("published fits of two traits are reached, ML and REML", {
  d <- trait_record_data()
  for (name in names(trait_records$traits)) {
    record <- trait_records$traits[[name]]
    REML <- name == "kron2sum_n50_reml"
    fit <- kernel_lmm(d$Y, d$X, d$kernel, REML = REML, rank = 1)
    shift <- if (REML) log_det(crossprod(d$X)) else 0
    expect_equal(fit$logLik + shift, record$lml, tolerance = 1e-10)
    # The record stopped short of the optimum by 1e-9 of its log-likelihood.
    expect_gte(fit$logLik + shift, record$lml)
    expect_equal(unname(fit$C0), record$C0, tolerance = 1e-4)
    expect_equal(unname(fit$C1), record$C1, tolerance = 1e-4)
    expect_equal(unname(fit$coefficients), record$B, tolerance = 1e-5)
    expect_equal(fit$convergence$status, "converged")
    expect_lt(max(abs(fit$gradient[grep("C1", names(fit$gradient))])), 1e-6)

    at <- kernel_lmm(d$Y, d$X, d$kernel, REML = REML, fit = FALSE,
                     start = record[c("C0", "C1")])
    at <- update(at, start = list(beta = record$B))
    expect_equal(at$logLik + shift, record$lml, tolerance = 1e-12)

    scan <- scan_traits(at, d$G[, 61:65])
    expect_equal(scan$null_logLik, record$null_lml, tolerance = 1e-12)
    expect_equal(scan$null_scale, record$null_scale, tolerance = 1e-12)
    expect_equal(scan$logLik, record$scan$lml, tolerance = 1e-12)
    expect_equal(scan$scale, record$scan$scale, tolerance = 1e-12)
    expect_equal(unname(scan$effects), record$scan$effects, tolerance = 1e-10)
    expect_equal(unname(scan$se), record$scan$se, tolerance = 1e-10)
  }
})

test_that("value, gradient and covariance are those of the definition", {
  for (r in c(2, 5, 11, 20)) {
    d <- trait_data(r = r)
    for (REML in c(TRUE, FALSE)) {
      B <- matrix(c(0.1, 0.5, -0.2, 0.3, 1, -1), 2)
      value <- function(x) {
        kernel_lmm(d$Y, d$X, d$K, REML = REML, fit = FALSE, start = list(
          beta = x[1:6], C0 = from_lower(x[7:12], 3), C1 = from_lower(x[13:18], 3)
        ))
      }
      at <- c(B, lower(d$C0), lower(d$C1))
      dense <- function(x) {
        dense_traits(d$Y, d$X, d$K, matrix(x[1:6], 2), from_lower(x[7:12], 3),
                     from_lower(x[13:18], 3), REML)
      }
      fit <- value(at)
      expect_equal(fit$logLik, dense(at), tolerance = 1e-11)
      expect_equal(unname(fit$gradient), numDeriv::grad(dense, at), tolerance = 1e-6)
      V <- kronecker(d$C0, d$K) + kronecker(d$C1, diag(12))
      XX <- kronecker(diag(3), d$X)
      expect_equal(unname(fit$vcov), solve(crossprod(XX, solve(V, XX))), tolerance = 1e-9)
      # The part of the kernel
      e <- solve(V, c(d$Y - d$X %*% B))
      kernel_part <- matrix(kronecker(d$C0, d$K) %*% e, 12)
      expect_equal(unname(fitted(fit)), unname(d$X %*% B + kernel_part), tolerance = 1e-9)
    }
  }
})

test_that("no general optimiser finds better, and the information is that of the definition", {
  d <- trait_data(n = 40, t = 2, r = 10, seed = 3)
  for (REML in c(TRUE, FALSE)) {
    fit <- kernel_lmm(d$Y, d$X, d$K, REML = REML)
    expect_equal(fit$convergence$status, "converged")
    expect_lt(max(abs(fit$gradient)), 1e-5)
    best <- c(fit$coefficients, lower(fit$C0), lower(fit$C1))
    value <- function(x, what) {
      kernel_lmm(d$Y, d$X, kernel(d$K), REML = REML, fit = FALSE, start = list(
        beta = x[1:4], C0 = from_lower(x[5:7], 2), C1 = from_lower(x[8:10], 2)
      ))[[what]]
    }
    expect_equal(dense_traits(d$Y, d$X, d$K, fit$coefficients, fit$C0, fit$C1, REML), fit$logLik,
                 tolerance = 1e-11)
    information <- -numDeriv::jacobian(function(x) value(x, "gradient"), best)
    expect_equal(unname(vcov(fit, full = TRUE)), solve(information), tolerance = 1e-4)
    expect_equal(rownames(vcov(fit)), c("a:one", "a:x", "b:one", "b:x"))
    objective <- function(x) {
      F0 <- matrix(c(x[1:2], 0, x[3]), 2)
      L1 <- matrix(c(exp(x[4]), x[5], 0, exp(x[6])), 2)
      B <- fit$coefficients
      V <- kronecker(tcrossprod(F0), d$K) + kronecker(tcrossprod(L1), diag(40))
      XX <- kronecker(diag(2), d$X)
      B[] <- solve(crossprod(XX, solve(V, XX)), crossprod(XX, solve(V, c(d$Y))))
      -dense_traits(d$Y, d$X, d$K, B, tcrossprod(F0), tcrossprod(L1), REML)
    }
    set.seed(9)
    others <- replicate(2, nlminb(rnorm(6), objective)$objective)
    expect_gte(fit$logLik, -min(others) - 1e-7)
  }
})

test_that("traits that are independent are fitted as if alone", {
  d <- trait_data(n = 60, t = 2, r = 30, seed = 10)
  one <- kernel_lmm(d$Y[, 1], d$X, d$K)
  two <- kernel_lmm(d$Y[, 2], d$X, d$K)
  v1 <- kernel_variances(one)
  v2 <- kernel_variances(two)
  at <- kernel_lmm(d$Y, d$X, d$K, fit = FALSE, start = list(
    C0 = diag(c(v1[["v0"]], v2[["v0"]])), C1 = diag(c(v1[["v1"]], v2[["v1"]])),
    beta = cbind(one$coefficients, two$coefficients)
  ))
  expect_equal(at$logLik, one$logLik + two$logLik, tolerance = 1e-11)
  diagonal <- c("C0[a,a]", "C0[b,b]", "C1[a,a]", "C1[b,b]")
  expect_lt(max(abs(at$gradient[c(diagonal, rownames(at$vcov))])), 1e-7)
  expect_equal(unname(at$vcov[1:2, 1:2]), unname(one$vcov), tolerance = 1e-9)
  expect_gte(kernel_lmm(d$Y, d$X, d$K)$logLik, at$logLik)
})

test_that("other units, other bases of the traits and another order change nothing else", {
  d <- trait_data(n = 50, t = 3, r = 12, seed = 9)
  fit <- kernel_lmm(d$Y, d$X, d$K)
  nu <- (50 - 2)
  turn <- matrix(c(1, 0.5, -0.3, 0, 2, 0.1, 0, 0, 1e-3), 3)
  turned <- kernel_lmm(d$Y %*% turn, d$X, d$K)
  expect_equal(turned$logLik, fit$logLik - nu * log_det(turn), tolerance = 1e-9)
  expect_equal(unname(turned$C1), unname(t(turn) %*% fit$C1 %*% turn), tolerance = 1e-4)
  shifted <- kernel_lmm(d$Y + 1e5, d$X %*% diag(c(1, 1e6)), d$K)
  expect_equal(shifted$logLik, fit$logLik - 3 * log(1e6), tolerance = 1e-8)
  scaled <- kernel_lmm(d$Y, d$X, d$K * 1e-6)
  expect_equal(scaled$logLik, fit$logLik, tolerance = 1e-10)
  expect_equal(scaled$C0 * 1e-6, fit$C0, tolerance = 1e-4)
  order <- sample(50)
  permuted <- kernel_lmm(d$Y[order, ], d$X[order, ], d$K[order, order])
  expect_equal(permuted$logLik, fit$logLik, tolerance = 1e-10)
  swapped <- kernel_lmm(d$Y[, 3:1], d$X, d$K)
  expect_equal(swapped$logLik, fit$logLik, tolerance = 1e-10)
})

test_that("ranks are nested, and a rank that the data do not have is named", {
  d <- trait_data(n = 60, t = 3, r = 20, seed = 11)
  logs <- vapply(1:3, function(rank) {
    suppressMessages(kernel_lmm(d$Y, d$X, d$K, rank = rank))$logLik
  }, 0)
  expect_true(all(diff(logs) >= -1e-8))
  expect_equal(suppressMessages(kernel_lmm(d$Y, d$X, d$K, rank = 1))$df, 6L + 3L + 6L)
  set.seed(12)
  u <- d$G %*% rnorm(20) / sqrt(20)
  Y <- cbind(u, -u, 2 * u) + matrix(rnorm(180), 60)
  expect_message(fit <- kernel_lmm(Y, d$X, d$K), "rank [12] of 3",
                 class = "partialpool_message_singular")
  expect_true(is_singular(fit))
  expect_match(fit$convergence$boundary, "C0 has rank")
  expect_equal(colnames(fit$C0), c("y1", "y2", "y3"))
})

test_that("a scan is generalised least squares with the marker, one or several columns", {
  d <- trait_data(n = 30, t = 2, r = 8, seed = 13)
  set.seed(14)
  G <- matrix(rbinom(30 * 6, 2, 0.3), 30) + 0
  for (K in list(d$K, d$K + 0.3 * diag(30))) {
    fit <- suppressMessages(kernel_lmm(d$Y, d$X, K))
    V <- kronecker(fit$C0, K) + kronecker(fit$C1, diag(30))
    dense <- function(g) {
      XX <- kronecker(diag(2), cbind(d$X, g))
      A <- crossprod(XX, solve(V, XX))
      b <- solve(A, crossprod(XX, solve(V, c(d$Y))))
      e <- c(d$Y) - XX %*% b
      s <- sum(e * solve(V, e)) / 60
      at <- 2 + seq_len(NCOL(g))
      at <- c(at, at + 2 + NCOL(g))
      list(b = b[at], se = sqrt(s * diag(solve(A))[at]), s = s,
           logLik = -0.5 * (60 * (log(2 * pi * s) + 1) + log_det(V)))
    }
    scan <- scan_traits(fit, G)
    for (j in 1:6) {
      mark <- dense(G[, j])
      expect_equal(scan$effects[j, ], mark$b, ignore_attr = TRUE, tolerance = 1e-9)
      expect_equal(scan$se[j, ], mark$se, ignore_attr = TRUE, tolerance = 1e-9)
      expect_equal(c(scan$scale[j], scan$logLik[j]), c(mark$s, mark$logLik), tolerance = 1e-10)
    }
    expect_equal(scan$statistic, 2 * (scan$logLik - scan$null_logLik), tolerance = 1e-9)
    sets <- scan_traits(fit, G, c(2L, 3L, 6L))
    mark <- dense(G[, 4:6])
    expect_equal(c(sets$effects[4:6, ]), mark$b, tolerance = 1e-9)
    expect_equal(c(sets$se[4:6, ]), mark$se, tolerance = 1e-9)
    expect_equal(sets$logLik[3], mark$logLik, tolerance = 1e-10)
    expect_equal(sets$df, c(4, 2, 6))
    expect_equal(sets$effects[3, ], scan$effects[3, ], tolerance = 1e-12)
    expect_equal(sets$p[2], scan$p[3], tolerance = 1e-9)
    # A copy of a column of X, and of another marker
    none <- scan_traits(fit, cbind(d$X[, 2], G[, 1], G[, 1]), c(1L, 3L))
    expect_true(all(is.na(none$effects)) && all(is.na(none$p)))
    expect_equal(scan_traits(fit, G + 1e5)$effects, scan$effects, tolerance = 1e-6)
  }
})

test_that("predictions and moments are those of the joint distribution", {
  d <- trait_data(n = 20, t = 2, r = 6, seed = 15)
  seen <- 1:15
  fit <- suppressMessages(kernel_lmm(d$Y[seen, ], d$X[seen, ], d$K[seen, seen]))
  V <- kronecker(fit$C0, d$K[seen, seen]) + kronecker(fit$C1, diag(15))
  cross <- kronecker(fit$C0, d$K[-seen, seen])
  e <- c(d$Y[seen, ] - d$X[seen, ] %*% fit$coefficients)
  value <- predict(fit, d$X[-seen, ], d$K[-seen, seen], diag(d$K)[-seen], se.fit = TRUE)
  expect_equal(c(value$fit), c(d$X[-seen, ] %*% fit$coefficients) + drop(cross %*% solve(V, e)),
               tolerance = 1e-9)
  remaining <- kronecker(fit$C0, d$K[-seen, -seen]) - cross %*% solve(V, t(cross))
  expect_equal(c(value$se.fit)^2, pmax(0, diag(remaining)), tolerance = 1e-7)
  prior <- latent(fit, "prior")
  own <- kronecker(fit$C0, d$K[seen, seen])
  expect_equal(prior$covariance, own, ignore_attr = TRUE, tolerance = 1e-10)
  posterior <- latent(fit)
  expect_equal(posterior$covariance, own - own %*% solve(V, own), tolerance = 1e-7)
  within <- predict(fit, se.fit = TRUE)
  expect_equal(within$fit, fitted(fit))
  expect_equal(c(within$se.fit)^2, diag(posterior$covariance), tolerance = 1e-7)
  expect_equal(residuals(fit) + fitted(fit), d$Y[seen, ], ignore_attr = TRUE)
  expect_equal(residuals(fit, "pearson")[, 2], residuals(fit)[, 2] / sigma(fit)[[2]])

  draws <- simulate(fit, 400, seed = 1)
  expect_length(draws, 400)
  total <- vapply(draws, function(y) c(y - d$X[seen, ] %*% fit$coefficients), numeric(30))
  expect_equal(mean(total^2), mean(diag(V)), tolerance = 0.1)
})

test_that("methods answer", {
  d <- trait_data(n = 40, t = 2, r = 10, seed = 3)
  fit <- kernel_lmm(d$Y, d$X, d$K)
  expect_s3_class(fit, c("pp_kernel_traits", "pp_kernel_lmm", "pp_kernel_fit", "pp_fit"),
                  exact = TRUE)
  expect_equal(dim(coef(fit)), c(2L, 2L))
  expect_equal(attr(logLik(fit), "df"), 10L)
  expect_equal(nobs(fit), 80L)
  v <- VarCorr(fit)
  expect_equal(as.matrix(v$kernel), fit$C0, ignore_attr = TRUE)
  expect_equal(nrow(as.data.frame(v)), 6L)
  interval <- confint(fit)
  expect_equal(rowMeans(interval), c(coef(fit)), ignore_attr = TRUE)
  expect_equal(rownames(confint(fit, "a:x")), "a:x")
  expect_output(print(fit), "2 traits with a kernel, fitted by REML")
  expect_output(print(summary(fit)), "C1\\[b,b\\]")
  other <- update(fit, REML = FALSE)
  expect_equal(other$logLik, kernel_lmm(d$Y, d$X, d$K, REML = FALSE)$logLik, tolerance = 1e-9)
  moved <- update(fit, start = list(C0 = 2 * fit$C0), fit = FALSE)
  expect_lt(moved$logLik, fit$logLik)
  expect_equal(moved$C1, fit$C1)
  expect_equal(unserialize(serialize(fit, NULL))$logLik, fit$logLik)
})

test_that("input that cannot be fitted is refused with a reason", {
  d <- trait_data(n = 20, t = 2, r = 6)
  Y <- d$Y
  Y[3, 1] <- NA
  expect_error(kernel_lmm(Y, d$X, d$K), "missing value", class = "partialpool_error_response")
  expect_error(kernel_lmm(d$Y, d$X), "kernel", class = "partialpool_error_argument")
  expect_error(kernel_lmm(d$Y, d$X, d$K, rank = 3), class = "partialpool_error_argument")
  expect_error(kernel_lmm(d$Y, d$X, d$K, noise_var = 1), class = "partialpool_error_argument")
  expect_error(kernel_lmm(d$Y, d$X, d$K, fix = list(delta = 0)),
               class = "partialpool_error_argument")
  expect_error(kernel_lmm(cbind(d$Y, d$Y[, 1]), d$X, d$K), "exactly",
               class = "partialpool_error_fit")
  expect_error(kernel_lmm(cbind(d$Y, 1), d$X, d$K), "constant",
               class = "partialpool_error_response")
  expect_error(kernel_lmm(d$Y, d$X, diag(20)), "cannot tell",
               class = "partialpool_error_identifiability")
  expect_error(kernel_lmm(d$Y[1:4, ], d$X[1:4, ], d$K[1:4, 1:4]), class = "partialpool_error_rank")
  at <- function(...) kernel_lmm(d$Y, d$X, d$K, fit = FALSE, start = list(...))
  expect_error(at(C0 = diag(3)), class = "partialpool_error_start")
  expect_error(at(C1 = matrix(1, 2, 2)), "positive definite", class = "partialpool_error_start")
  expect_error(at(D = 1), class = "partialpool_error_start")
})
