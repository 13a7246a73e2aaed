# Scans against dense algebra, published values, and themselves in other forms.

n <- 60
markers <- genotypes(n, 25)
covariates <- withr::with_seed(2, cbind(1, rnorm(n), rnorm(n, 50)))
colnames(covariates) <- c("(Intercept)", "a", "b")
y <- withr::with_seed(3, rnorm(n) + covariates[, 2] + markers[, 4] / 2)
standardised <- scale(genotypes(n, 90, seed = 4))
kernels <- list(
  centred = tcrossprod(standardised) / 90, low_rank = tcrossprod(standardised[, 1:6]) / 6,
  half = tcrossprod(standardised[, 1:45]) / 45, full = exp(-abs(outer(1:n, 1:n, "-")) / 8)
)
identity <- diag(n)
null_model <- function(kernel = "centred", delta = 0.4, columns = 1, ...) {
  gaussian_null(y, covariates[, seq_len(columns), drop = FALSE], kernels[[kernel]], delta, ...)
}
plain <- function(scan) as.data.frame(scan)

test_that("every marker is generalised least squares at the delta of the null model", {
  for (kernel in names(kernels)) {
    for (columns in c(0, 1, 3)) {
      for (delta in c(0.01, 0.4, 1)) {
        V <- (1 - delta) * kernels[[kernel]] + delta * identity
        X <- covariates[, seq_len(columns), drop = FALSE]
        for (REML in c(FALSE, TRUE)) {
          scan <- marker_scan(null_model(kernel, delta, columns, REML = REML), markers)
          expect_scan(scan, dense_scan(y, X, markers, V, REML))
        }
      }
    }
  }
})

test_that("columns of the kernel's own span, and a nearly singular covariance, keep their digits", {
  # The rotated form loses digits by 1 / delta here; it is left for the complete one
  delta <- 1e-7
  V <- (1 - delta) * kernels$low_rank + delta * identity
  inside <- cbind(standardised[, 1:6], markers[, 1:3])
  scan <- marker_scan(null_model("low_rank", delta), inside)
  expect_scan(scan, dense_scan(y, covariates[, 1, drop = FALSE], inside, V), 1e-7)
  V <- 0.6 * kernels$low_rank + 0.4 * identity
  scan <- marker_scan(null_model("low_rank", 0.4), inside)
  expect_scan(scan, dense_scan(y, covariates[, 1, drop = FALSE], inside, V))
})

test_that("delta = 0 with a singular kernel is the limit", {
  at <- function(delta, columns) {
    plain(marker_scan(null_model("centred", delta, columns, REML = TRUE), markers))
  }
  for (columns in c(1, 3)) {
    expect_equal(at(0, columns)[1:7], at(1e-11, columns)[1:7], tolerance = 1e-7)
  }
  expect_error(at(0, 0), class = "partialpool_error_argument")
  expect_error(
    marker_scan(null_model("low_rank", 0), markers), class = "partialpool_error_argument"
  )
})

test_that("no kernel is least squares", {
  fit <- null_model("none", 1, 3, REML = TRUE)
  scan <- marker_scan(fit, markers)
  for (j in c(1, 4, 20)) {
    model <- summary(lm(y ~ covariates - 1 + markers[, j]))$coefficients[4, ]
    expect_equal(
      unname(unlist(plain(scan)[j, c("effect", "se", "statistic", "p")])), unname(model),
      tolerance = 1e-11
    )
  }
})

test_that("statistics and p values are what the page says", {
  reml <- marker_scan(null_model(columns = 3, REML = TRUE), markers)
  expect_equal(reml$statistic, reml$effect / reml$se, tolerance = 1e-12)
  expect_equal(reml$p, 2 * pt(-abs(reml$statistic), n - 4), tolerance = 1e-12)
  ml <- marker_scan(null_model(columns = 3), markers)
  expect_equal(ml$statistic, ml$effect / ml$se, tolerance = 1e-12)
  expect_equal(ml$p, pchisq(ml$lrt, 1, lower.tail = FALSE), tolerance = 1e-12)
  expect_equal(ml$lrt, reml$lrt, tolerance = 1e-12)
  V <- 0.6 * kernels$centred + 0.4 * identity
  null <- dense_gls(y, covariates, matrix(0, n, 0), V)$logLik
  expect_equal(ml$lrt, 2 * (ml$logLik - null), tolerance = 1e-9)
})

test_that("the scale of the null model may be held", {
  fit <- null_model(columns = 3, scale = 1.7, REML = FALSE)
  scan <- marker_scan(fit, markers, refit_scale = FALSE)
  V <- 0.6 * kernels$centred + 0.4 * identity
  expect_scan(scan, dense_scan(y, covariates, markers, V, scale = 1.7))
  expect_equal(scan$p, 2 * pnorm(-abs(scan$statistic)), tolerance = 1e-12)
  fit$REML <- TRUE
  expect_scan(
    marker_scan(fit, markers, refit_scale = FALSE),
    dense_scan(y, covariates, markers, V, REML = TRUE, scale = 1.7)
  )
})

test_that("an offset is taken from the response", {
  fit <- null_model()
  shifted <- null_model()
  shifted$offset <- covariates[, 2]
  shifted$y <- shifted$y + covariates[, 2]
  expect_equal(plain(marker_scan(shifted, markers)), plain(marker_scan(fit, markers)))
})

test_that("known noise variances: scale held or refitted", {
  noise <- withr::with_seed(5, runif(n, 0.2, 3))
  for (kernel in names(kernels)) {
    fit <- null_model(kernel, 0.3, 3, scale = 1.4, noise_var = noise)
    V <- 1.4 * (0.7 * kernels[[kernel]] + 0.3 * identity) + diag(noise)
    expect_scan(marker_scan(fit, markers), dense_scan(y, covariates, markers, V, scale = 1))
    expect_scan(
      marker_scan(fit, markers, refit_scale = TRUE), dense_scan(y, covariates, markers, V)
    )
  }
  fit$kernel <- NULL
  fit$delta <- 1
  V <- 1.4 * identity + diag(noise)
  expect_scan(marker_scan(fit, markers), dense_scan(y, covariates, markers, V, scale = 1))
})

test_that("scans of glimix-core are reproduced", {
  reference <- readRDS(test_path("fixtures", "glimix-scans.rds"))
  geno <- matrix(as.integer(reference$n200$geno), 200)
  Z <- apply(geno, 2, function(g) (g - mean(g)) / sqrt(mean((g - mean(g))^2)))
  K <- list(lowrank = tcrossprod(Z[, 1:20]) / 20, grm = tcrossprod(Z) / ncol(Z))
  for (name in names(reference$scans)) {
    expected <- reference$scans[[name]]
    kind <- sub("n200_([a-z]+)_.*", "\\1", name)
    X <- reference$n200$X[, expected$covariates, drop = FALSE]
    v <- c(expected$v0, expected$v1)
    fit <- gaussian_null(reference$n200$y[[kind]], X, K[[kind]], v[2] / sum(v), sum(v))
    scan <- marker_scan(fit, geno[, 101:300])
    expect_scan(scan, list(effect = expected$effect, se = expected$se), 2e-11)
    expect_lt(max(abs(scan$logLik - expected$lml)), 1e-10)
    set <- marker_scan(fit, geno[, 101:300], sets = list(first = 1:3))
    expect_equal(set$logLik, expected$set$lml, tolerance = 1e-12)
    expect_equal(attr(set, "markers")$effect, expected$set$effsizes1, tolerance = 1e-11)
    expect_equal(attr(set, "markers")$se, expected$set$effsizes1_se, tolerance = 1e-11)
  }
})

test_that("the fast scanner of a heteroscedastic normal model is reproduced", {
  seed <- readRDS(test_path("fixtures", "glimix-scans.rds"))$normal
  fit <- gaussian_null(seed$eta / seed$tau, seed$X, seed$K, 0.5, 1, noise_var = 1 / seed$tau)
  scan <- marker_scan(fit, seed$M, refit_scale = TRUE)
  expect_equal(scan$logLik, seed$scan$lml, tolerance = 1e-10)
  expect_equal(scan$effect, seed$scan$alpha, tolerance = 1e-9)
  expect_equal(scan$se, seed$scan$se_alpha, tolerance = 1e-10)
})

test_that("on top of sites the score test is that of the formula", {
  for (kernel in names(kernels)) {
    for (v1 in c(0, 0.4)) {
      tau <- withr::with_seed(6, rexp(n, 2))
      tau[c(3, 17)] <- 0
      nu <- withr::with_seed(7, rnorm(n))
      beta <- c(0.3, -0.2)
      X <- covariates[, 1:2]
      offset <- covariates[, 3] / 50
      scale <- 0.9 + v1
      fit <- site_null(X, kernels[[kernel]], beta, scale, v1 / scale, tau, nu, offset)
      scan <- marker_scan(fit, markers)
      prior <- 0.9 * kernels[[kernel]] + v1 * identity
      T <- diag(tau)
      R <- T - T %*% prior %*% solve(identity + T %*% prior, T)
      e <- solve(identity + T %*% prior, nu - tau * (drop(X %*% beta) + offset))
      P <- R - R %*% X %*% solve(t(X) %*% R %*% X, t(X) %*% R)
      e <- e - R %*% X %*% solve(t(X) %*% R %*% X, t(X) %*% e)
      score <- drop(crossprod(markers, e))
      variance <- colSums(markers * (P %*% markers))
      expect_scan(scan, list(effect = score / variance, se = 1 / sqrt(variance)))
      expect_equal(scan$statistic, score / sqrt(variance), tolerance = 1e-10)
      expect_equal(scan$p, pchisq(score^2 / variance, 1, lower.tail = FALSE), tolerance = 1e-9)
      expect_equal(scan$logLik, fit$logLik + score^2 / variance / 2, tolerance = 1e-10)
    }
  }
  expect_error(
    marker_scan(fit, markers, refit_scale = TRUE), class = "partialpool_error_argument"
  )
})

test_that("sites of negative precision are allowed", {
  tau <- withr::with_seed(6, rexp(n, 2))
  tau[5] <- -0.1
  fit <- site_null(covariates[, 1, drop = FALSE], kernels$full, 0.1, 0.5, 0.2, tau, tau)
  scan <- marker_scan(fit, markers)
  V <- solve(diag(tau)) + 0.5 * (0.8 * kernels$full + 0.2 * identity)
  R <- solve(V)
  X <- covariates[, 1, drop = FALSE]
  P <- R - R %*% X %*% solve(t(X) %*% R %*% X, t(X) %*% R)
  expect_equal(scan$se, 1 / sqrt(colSums(markers * (P %*% markers))), tolerance = 1e-9)
})

test_that("results do not depend on blocks, order, location and scale of the markers", {
  for (kernel in c("centred", "low_rank")) {
    fit <- null_model(kernel, columns = 3)
    scan <- plain(marker_scan(fit, markers))
    for (size in c(1L, 2L, 3L, 7L, 24L, 1000L)) {
      expect_identical(plain(marker_scan(fit, markers, block_size = size)), scan)
    }
    order <- withr::with_seed(8, sample(25))
    back <- plain(marker_scan(fit, markers[, order]))[order(order), ]
    expect_identical(back[2:9], scan[2:9], ignore_attr = TRUE)
    # Without rounding of the markers themselves
    moved <- marker_scan(fit, 2^20 + markers / 2^10)
    expect_equal(moved$effect, 2^10 * scan$effect, tolerance = 1e-11)
    expect_equal(moved$p, scan$p, tolerance = 1e-11)
    for (unit in c(1e-200, 1e200, 2^1000)) {
      extreme <- marker_scan(fit, unit * markers)
      expect_equal(extreme$p, scan$p, tolerance = 1e-12)
      expect_equal(extreme$effect * unit, scan$effect, tolerance = 1e-12)
    }
  }
})

test_that("rows may be permuted and the data rescaled", {
  fit <- null_model("full", columns = 3)
  scan <- marker_scan(fit, markers)
  rows <- withr::with_seed(9, sample(n))
  permuted <- gaussian_null(y[rows], covariates[rows, ], kernels$full[rows, rows], 0.4)
  expect_equal(plain(marker_scan(permuted, markers[rows, ])), plain(scan), tolerance = 1e-10)
  rescaled <- gaussian_null(1e4 * y, covariates * rep(c(1, 1e-6, 1e6), each = n), kernels$full, 0.4)
  other <- marker_scan(rescaled, markers)
  expect_equal(other$effect, 1e4 * scan$effect, tolerance = 1e-9)
  expect_equal(other$p, scan$p, tolerance = 1e-9)
})

test_that("matrices of any storage, sparse ones and data frames give the same", {
  fit <- null_model()
  scan <- plain(marker_scan(fit, markers))
  as_storage <- function(mode) {
    storage.mode(markers) <- mode
    markers
  }
  for (mode in c("double", "integer", "raw")) {
    expect_identical(plain(marker_scan(fit, as_storage(mode))), scan)
  }
  expect_identical(plain(marker_scan(fit, Matrix::Matrix(markers, sparse = TRUE))), scan)
  expect_identical(plain(marker_scan(fit, Matrix::Matrix(markers + 0, sparse = FALSE))), scan)
  expect_identical(plain(marker_scan(fit, as.data.frame(markers)))[-1], scan[-1])
  logical <- markers > 0
  expect_identical(plain(marker_scan(fit, logical)), plain(marker_scan(fit, logical + 0)))
  pattern <- methods::as(Matrix::Matrix(logical, sparse = TRUE), "nMatrix")
  expect_identical(plain(marker_scan(fit, pattern)), plain(marker_scan(fit, logical + 0)))
  expect_identical(plain(marker_scan(fit, markers[, 3]))[-1], scan[3, -1], ignore_attr = TRUE)
  expect_identical(scan$marker, paste0("marker", 1:25))
})

test_that("missing values are imputed by the mean and counted", {
  fit <- null_model(columns = 3)
  holes <- markers
  holes[cbind(c(1, 5, 9, 60), c(2, 2, 7, 25))] <- NA
  holes[, 11] <- NA
  imputed <- apply(holes, 2, function(g) replace(g, is.na(g), mean(g, na.rm = TRUE)))
  scan <- marker_scan(fit, holes)
  expect_identical(scan$missing[c(1, 2, 7, 11, 25)], c(0L, 2L, 1L, 60L, 1L))
  expect_equal(scan$frequency, unname(colMeans(holes, na.rm = TRUE) / 2), ignore_attr = TRUE)
  V <- 0.6 * kernels$centred + 0.4 * identity
  expect_scan(plain(scan)[-11, ], dense_scan(y, covariates, imputed[, -11], V))
  expect_true(all(is.na(plain(scan)[11, c("effect", "se", "statistic", "lrt", "p", "logLik")])))
  expect_identical(plain(marker_scan(fit, holes + 0)), plain(scan))
  sparse <- Matrix::Matrix(holes + 0, sparse = TRUE)
  expect_identical(plain(marker_scan(fit, sparse)), plain(scan))
  expect_equal(summary(scan)$untested[["all missing"]], 1)
  expect_equal(summary(scan)$imputed, 64)
})

test_that("markers without information have NA and are counted by cause", {
  fit <- null_model(columns = 3)
  bad <- cbind(
    markers[, 1:2], 1, 0.1, covariates[, 2], 3 * covariates[, 2] - covariates[, 3] + 7, markers[, 3]
  )
  scan <- marker_scan(fit, bad)
  expect_identical(is.na(scan$p), c(FALSE, FALSE, TRUE, TRUE, TRUE, TRUE, FALSE))
  expect_identical(is.na(scan$effect), is.na(scan$p))
  expect_identical(is.na(scan$logLik), is.na(scan$p))
  expect_false(any(is.nan(scan$p)))
  expect_equal(
    summary(scan)$untested, c("all missing" = 0, constant = 2, collinear = 2, "exact fit" = 0)
  )
  expect_scan(
    plain(scan)[c(1, 2, 7), ],
    dense_scan(y, covariates, bad[, c(1, 2, 7)], 0.6 * kernels$centred + 0.4 * identity)
  )
  # Nearly collinear is not collinear
  near <- covariates[, 2] + 1e-4 * markers[, 1]
  expect_equal(marker_scan(fit, near)$p, scan$p[1], tolerance = 1e-6)
  # In the low-rank form the rest is a difference of large numbers
  low <- marker_scan(null_model("low_rank", 0.01, columns = 3), bad)
  expect_identical(is.na(low$p), is.na(scan$p))
  # Without an intercept in X a constant is a column like others
  no_intercept <- marker_scan(null_model(columns = 0), cbind(rep(1, n), 0))
  expect_identical(is.na(no_intercept$p), c(FALSE, TRUE))
})

test_that("a marker that fits the response exactly has no scale", {
  fit <- null_model()
  scan <- marker_scan(fit, cbind(y, markers[, 1]))
  expect_identical(is.na(scan$p), c(TRUE, FALSE))
  expect_equal(summary(scan)$untested[["exact fit"]], 1)
})

test_that("sets are tested jointly", {
  V <- 0.6 * kernels$centred + 0.4 * identity
  groups <- list(a = 1:3, b = c(20, 5), c = 9, d = 1:12)
  for (REML in c(FALSE, TRUE)) {
    fit <- null_model(columns = 3, REML = REML)
    scan <- marker_scan(fit, markers, sets = groups)
    expect_identical(scan$set, names(groups))
    expect_identical(scan$df, unname(lengths(groups)))
    single <- attr(scan, "markers")
    expect_identical(single$set, rep(names(groups), lengths(groups)))
    for (g in seq_along(groups)) {
      expected <- dense_gls(y, covariates, markers[, groups[[g]]], V, REML)
      k <- length(groups[[g]])
      expect_equal(scan$statistic[g], expected$wald / if (REML) k else 1, tolerance = 1e-10)
      expect_equal(scan$logLik[g], expected$logLik, tolerance = 1e-11)
      rows <- single$set == names(groups)[g]
      expect_equal(single$effect[rows], expected$effect, tolerance = 1e-9)
      expect_equal(single$se[rows], expected$se, tolerance = 1e-10)
      if (REML) {
        expect_equal(scan$p[g], pf(expected$wald / k, k, n - 3 - k, lower.tail = FALSE))
      } else {
        expect_equal(scan$p[g], pchisq(scan$lrt[g], k, lower.tail = FALSE))
      }
    }
    one <- marker_scan(fit, markers)
    expect_equal(scan$p[3], one$p[9], tolerance = 1e-12)
    for (size in c(1, 4)) {
      expect_identical(plain(marker_scan(fit, markers, sets = groups, block_size = size)),
                       plain(scan))
    }
  }
  low <- marker_scan(null_model("low_rank", columns = 3), markers, sets = groups)
  expected <- dense_gls(y, covariates, markers[, 1:12],
                        0.6 * kernels$low_rank + 0.4 * identity)
  expect_equal(low$statistic[4], expected$wald, tolerance = 1e-10)
  sites <- site_null(covariates, kernels$full, c(0, 0, 0), 1, 0, rep(2, n), 2 * y)
  held <- gaussian_null(y, covariates, kernels$full, 0, 1, noise_var = rep(0.5, n))
  expect_equal(
    marker_scan(sites, markers, sets = groups)$statistic,
    marker_scan(held, markers, sets = groups)$statistic, tolerance = 1e-10
  )
})

test_that("sets of deficient rank have that many degrees of freedom", {
  fit <- null_model(columns = 3)
  deficient <- cbind(
    markers[, 1:2], markers[, 1] + 2 * markers[, 2], covariates[, 2], 4, NA, markers[, 3]
  )
  scan <- marker_scan(fit, deficient, sets = list(all = 1:7, none = 4:6))
  full <- marker_scan(fit, markers[, 1:3], sets = list(all = 1:3))
  expect_identical(scan$df, c(3L, 0L))
  expect_equal(scan$statistic[1], full$statistic, tolerance = 1e-9)
  expect_equal(scan$logLik[1], full$logLik, tolerance = 1e-11)
  expect_identical(is.na(scan$p), c(FALSE, TRUE))
  effects <- attr(scan, "markers")
  expect_equal(effects$effect[c(1, 2, 7)], attr(full, "markers")$effect, tolerance = 1e-9)
  expect_identical(is.na(effects$effect[1:7]), c(FALSE, FALSE, TRUE, TRUE, TRUE, TRUE, FALSE))
  expect_equal(unname(summary(scan)$untested[1:3]), c(2, 2, 3))
})

test_that("sets are given by name, by number, or by the set of each marker", {
  fit <- null_model()
  named <- markers
  colnames(named) <- paste0("rs", 1:25)
  by_number <- plain(marker_scan(fit, named, sets = list(u = 1:3, v = c(7, 9))))
  expect_identical(
    plain(marker_scan(fit, named, sets = list(u = c("rs1", "rs2", "rs3"), v = c("rs7", "rs9")))),
    by_number
  )
  each <- rep(NA, 25)
  each[1:3] <- "u"
  each[c(7, 9)] <- "v"
  expect_identical(plain(marker_scan(fit, named, sets = each)), by_number)
  expect_identical(plain(marker_scan(fit, named, sets = factor(each)))[-1], by_number[-1])
  expect_identical(marker_scan(fit, markers, sets = list(1:2, 3))$set, c("set1", "set2"))
  wrong <- list(list("rs1", "nobody"), list(0), list(26), list(1.5), list(character()),
                list(c(1, 1)), 1:3, function(x) x, list())
  for (sets in wrong) {
    expect_error(marker_scan(fit, named, sets = sets), class = "partialpool_error_markers")
  }
})

test_that("rows are matched by name", {
  ids <- paste0("s", 1:n)
  fit <- null_model("full")
  fit$names <- ids
  scan <- plain(marker_scan(fit, markers))
  bigger <- rbind(markers, genotypes(5, 25, seed = 10))
  rownames(bigger) <- c(ids, paste0("t", 1:5))
  bigger <- bigger[withr::with_seed(11, sample(n + 5)), ]
  expect_identical(plain(marker_scan(fit, bigger)), scan)
  expect_identical(plain(marker_scan(fit, Matrix::Matrix(bigger, sparse = TRUE))), scan)
  expect_error(marker_scan(fit, bigger[-5, ]), class = "partialpool_error_markers")
  twice <- bigger
  rownames(twice)[rownames(twice) == "t1"] <- "s3"
  expect_error(marker_scan(fit, twice), class = "partialpool_error_markers")
})

test_that("bad markers are named", {
  fit <- null_model()
  infinite <- markers + 0
  infinite[3, 17] <- Inf
  colnames(infinite) <- paste0("rs", 1:25)
  expect_error(marker_scan(fit, infinite), "rs17", class = "partialpool_error_markers")
  expect_error(marker_scan(fit, markers[-1, ]), "59", class = "partialpool_error_markers")
  for (bad in list(NULL, "nowhere.bed", matrix("a", n, 2), matrix(1i, n, 2), list(1), c("a", "b"),
                   data.frame(a = letters[rep(1:20, 3)]), function(x) x, array(1, c(n, 2, 2)))) {
    expect_error(marker_scan(fit, bad), class = "partialpool_error_markers")
  }
  expect_error(marker_scan(lm(y ~ 1), markers), class = "partialpool_error_argument")
  expect_error(marker_scan(fit, markers, block_size = 0), class = "partialpool_error_argument")
  expect_error(marker_scan(fit, markers, progress = 1), class = "partialpool_error_argument")
  expect_error(marker_scan(fit, markers, refit_scale = NA), class = "partialpool_error_argument")
  expect_error(marker_scan(fit, markers, file = 3), class = "partialpool_error_argument")
  expect_error(
    marker_scan(fit, markers, file = file.path(tempdir(), "no", "a.csv")),
    class = "partialpool_error_argument"
  )
  expect_error(marker_scan(fit, markers, size = 3), "size", class = "partialpool_error_argument")
})

test_that("no markers are no rows", {
  scan <- marker_scan(null_model(), markers[, 0])
  expect_identical(nrow(scan), 0L)
  expect_identical(names(scan), names(marker_scan(null_model(), markers)))
  expect_output(print(scan), "0 markers")
})

test_that("results stream to a file", {
  fit <- null_model()
  scan <- marker_scan(fit, markers)
  for (ending in c(".csv", ".csv.gz")) {
    file <- withr::local_tempfile(fileext = ending)
    expect_invisible(marker_scan(fit, markers, block_size = 4, file = file))
    streamed <- marker_scan(fit, markers, block_size = 4, file = file)
    expect_identical(nrow(streamed), 0L)
    expect_equal(utils::read.csv(file), plain(scan), tolerance = 1e-14)
    expect_equal(summary(streamed)$top, summary(scan)$top, tolerance = 1e-14)
    expect_equal(summary(streamed)$lambda, summary(scan)$lambda, tolerance = 1e-2)
    expect_identical(summary(streamed)$tested, 25)
    expect_output(print(streamed), "Results in")
  }
})

test_that("a plan with workers changes nothing", {
  skip_if_not_installed("future.apply")
  skip_on_cran()
  fit <- null_model(columns = 3)
  scan <- plain(marker_scan(fit, markers, block_size = 4))
  grouped <- plain(marker_scan(fit, markers, sets = rep(1:5, 5)))
  withr::defer(future::plan("sequential"))
  future::plan("multisession", workers = 2)
  expect_identical(plain(marker_scan(fit, markers, block_size = 4)), scan)
  sparse <- Matrix::Matrix(markers, sparse = TRUE)
  expect_identical(plain(marker_scan(fit, sparse, block_size = 4)), scan)
  expect_identical(plain(marker_scan(fit, markers, sets = rep(1:5, 5), block_size = 4)), grouped)
})

test_that("a scan prints, is summarised, and is a data frame", {
  scan <- marker_scan(null_model(columns = 3, REML = TRUE), markers)
  expect_output(print(scan), "Scan of 25 markers, REML, scale refitted")
  expect_output(print(scan), "lambda")
  expect_output(print(summary(scan, n = 3)), "marker9")
  expect_output(print(scan[1:2, ]), "marker2")
  expect_s3_class(plain(scan), "data.frame", exact = TRUE)
  expect_identical(
    names(scan), c("marker", "effect", "se", "statistic", "lrt", "p", "logLik", "missing",
                   "frequency")
  )
  info <- summary(scan, n = 3, level = 0.1)
  expect_identical(nrow(info$top), 3L)
  expect_identical(info$top$p, sort(scan$p)[1:3])
  expect_equal(info$threshold, 0.1 / 25)
  expect_equal(info$lambda, qchisq(median(scan$p), 1, lower.tail = FALSE) / qchisq(0.5, 1))
  expect_output(print(marker_scan(null_model(), markers, sets = rep(1:5, 5))), "5 sets")
  expect_message(
    withr::with_options(list(cli.progress_show_after = 0, cli.progress_handlers_only = "cli"),
                        marker_scan(null_model(), markers, progress = TRUE)), NA
  )
})
