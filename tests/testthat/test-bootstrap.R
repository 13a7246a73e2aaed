fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
binary <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)

test_that("replicates are refits of responses drawn by their own streams", {
  b <- bootstrap(fit, 8, seed = 11)
  states <- partialpool:::replicate_streams(11, 8)$states
  draw <- partialpool:::parametric_response(fit, FALSE)
  before <- .Random.seed
  responses <- lapply(states, function(state) {
    assign(".Random.seed", state, envir = globalenv())
    draw()
  })
  assign(".Random.seed", before, envir = globalenv())
  again <- t(vapply(responses, function(y) {
    partialpool:::natural_parameters(refit(fit, y))
  }, b$t0))
  expect_equal(b$t, again, tolerance = 1e-5)
  expect_equal(colnames(b$t), names(b$t0))
  expect_equal(b$t0, partialpool:::natural_parameters(fit))

  skip_if_not_installed("lme4")
  reference <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  theirs <- t(vapply(responses, function(y) {
    m <- lme4::refit(reference, y)
    v <- lme4::VarCorr(m)$Subject
    c(attr(v, "stddev")[[1]], attr(v, "correlation")[[2]], attr(v, "stddev")[[2]], stats::sigma(m),
      lme4::fixef(m))
  }, numeric(6L)))
  regular <- !b$singular
  expect_equal(unname(b$t[regular, ]), unname(theirs[regular, ]), tolerance = 2e-3)
})

test_that("a seed gives the same replicates and leaves the generator alone", {
  set.seed(1)
  expected <- runif(2)
  set.seed(1)
  first <- bootstrap(fit, 5, seed = 3)
  expect_equal(runif(2), expected)
  expect_identical(bootstrap(fit, 5, seed = 3)$t, first$t)
  # The first replicates do not depend on how many there are.
  expect_identical(bootstrap(fit, 3, seed = 3)$t, first$t[1:3, ])
  RNGkind("Wichmann-Hill")
  set.seed(4)
  expect_identical(bootstrap(fit, 5, seed = 3)$t, first$t)
  expect_equal(RNGkind()[1], "Wichmann-Hill")
  RNGkind("default")

  # Without one, a single draw is taken, and the seed is kept.
  set.seed(5)
  sample.int(.Machine$integer.max, 1L)
  after <- runif(1)
  set.seed(5)
  drawn <- bootstrap(fit, 3)
  expect_equal(runif(1), after)
  expect_identical(bootstrap(fit, 3, seed = drawn$seed)$t, drawn$t)
})

test_that("workers make no difference", {
  skip_on_cran()
  skip_if_not_installed("future.apply")
  skip_if_not(future::supportsMulticore())
  factor <- 2
  statistic <- function(fit) factor * fixef(fit)
  alone <- bootstrap(fit, 7, seed = 2, statistic = statistic)
  old <- future::plan("multicore", workers = 2)
  on.exit(future::plan(old))
  shared <- bootstrap(fit, 7, seed = 2, statistic = statistic)
  expect_identical(shared, alone)
  expect_identical(bootstrap(binary, 4, "cases", seed = 1)$nsim, 4L)
})

test_that("standard deviations of the replicates are the standard errors", {
  b <- bootstrap(fit, 300, seed = 1, statistic = fixef)
  expect_equal(apply(b$t, 2, sd), sqrt(diag(vcov(fit))), tolerance = 0.1)
  cases <- bootstrap(fit, 300, "cases", seed = 1, statistic = fixef)
  expect_equal(apply(cases$t, 2, sd), sqrt(diag(vcov(fit))), tolerance = 0.15)
  conditional <- bootstrap(fit, 100, seed = 1, statistic = fixef, use_random = TRUE)
  expect_lt(sd(conditional$t[, 2]), 0.6 * sd(b$t[, 2]))
})

test_that("reflated effects and residuals have the variances estimated", {
  d <- small_data()
  base <- lmm(y ~ x + (x | g) + (1 | h), d, weights = w, offset = o)
  residual <- base$y - partialpool:::fitted_values(base)
  for (t in seq_along(base$random)) {
    u <- partialpool:::reflated_modes(base, t, residual)
    varies <- colSums(u^2) > 0
    S <- crossprod(u)[varies, varies, drop = FALSE] / nrow(u)
    expect_equal(S, sigma(base)^2 * diag(sum(varies)), ignore_attr = TRUE)
    expect_equal(colMeans(u), numeric(ncol(u)), ignore_attr = TRUE)
  }
  # Modes before: those of components(), by another way.
  own <- partialpool:::reflated_modes(fit, 1L, fit$y - partialpool:::fitted_values(fit))
  b <- as.matrix(ranef(fit, condVar = FALSE)$Subject)
  centred <- scale(b, scale = FALSE)
  S <- crossprod(centred) / nrow(b)
  R <- as.matrix(VarCorr(fit)$Subject)
  turn <- t(chol(R)) %*% solve(t(chol(S)))
  expect_equal(own %*% t(fit$Lambda[[1]]), centred %*% t(turn), ignore_attr = TRUE)

  set.seed(1)
  draw <- partialpool:::resampled_response(fit, FALSE)
  y <- replicate(400, draw())
  expect_equal(rowMeans(y), unname(predict(fit, re.form = NA)), tolerance = 0.03)
  z <- cbind(1, sleepstudy$Days)
  V <- rowSums((z %*% R) * z) + sigma(fit)^2
  expect_equal(mean(apply(y, 1, var)), mean(V), tolerance = 0.05)
})

test_that("levels are drawn whole, and nested ones with them", {
  d <- small_data()
  d$inner <- interaction(d$g, d$h, drop = TRUE)
  nested <- suppressMessages(lmm(y ~ x + (1 | g / inner), d))
  expect_equal(partialpool:::outermost_factor(nested), "g")
  groups <- partialpool:::case_groups(nested, NULL, FALSE)
  expect_length(groups$own, 2L)
  draw <- c(2, 2, 1)
  rows <- groups$rows[draw]
  design <- partialpool:::design_of_cases(
    nested, unlist(rows), rep(1:3, lengths(rows)), groups$own
  )
  # The same by hand, from data that hold the levels twice.
  copies <- do.call(rbind, lapply(1:3, function(k) {
    part <- d[groups$rows[[draw[k]]], ]
    part$g <- k
    part$inner <- paste(k, part$inner)
    part
  }))
  by_hand <- suppressMessages(lmm(y ~ x + (1 | g / inner), copies))
  mine <- suppressMessages(partialpool:::fit_design(design))
  expect_equal(logLik(mine), logLik(by_hand))
  expect_equal(fixef(mine), fixef(by_hand))

  crossed <- suppressMessages(lmm(y ~ x + (1 | g) + (1 | h), d))
  expect_error(bootstrap(crossed, 3, "cases"), class = "partialpool_error_argument")
  b <- bootstrap(crossed, 3, "cases", by = "h", within = TRUE, seed = 1)
  expect_equal(b$failed, 0L)
  expect_error(bootstrap(crossed, 3, "cases", by = "x"), class = "partialpool_error_argument")
  expect_error(bootstrap(crossed, 3, by = "h"), class = "partialpool_error_argument")
})

test_that("a level of a factor that was not drawn fails the replicate, by name", {
  d <- transform(cbpp, rare = herd == "1")
  m <- suppressWarnings(glmm(cbind(incidence, size - incidence) ~ rare + (1 | herd), d, binomial))
  b <- bootstrap(m, 20, "cases", seed = 1)
  expect_gt(b$failed, 0L)
  expect_true(any(grepl("rareTRUE", b$messages$text)))
  expect_equal(sum(rowSums(is.na(b$t)) == ncol(b$t)), b$failed)
})

test_that("bad replicates are counted, not hidden", {
  moody <- function(fit) {
    if (fixef(fit)[[2]] > 10.5) stop("too steep")
    if (fixef(fit)[[1]] > 251) warning("high")
    message("seen")
    c(a = 1, fixef(fit))
  }
  b <- suppressWarnings(suppressMessages(bootstrap(fit, 30, seed = 2, statistic = moody)))
  expect_gt(b$failed, 0L)
  expect_equal(b$failed, sum(is.na(b$t[, "a"])))
  expect_setequal(b$messages$kind, c("error", "warning", "message"))
  expect_equal(b$messages$replicates[b$messages$kind == "error"], b$failed)
  expect_output(print(b), "too steep")
  expect_equal(summary(b)$replicates, rep(30 - b$failed, 3))

  varying <- function(fit) if (fixef(fit)[[2]] > 10.5) 1:2 else 1
  b <- bootstrap(fit, 10, seed = 2, statistic = varying)
  expect_match(b$messages$text, "2 values instead of 1", all = FALSE)

  d <- data.frame(g = rep(1:8, each = 5), x = rep(0:1, 20))
  d$y <- ifelse(d$x == 1, 1, rep(c(0, 1, 1, 0), 10))
  apart <- suppressWarnings(suppressMessages(glmm(y ~ x + (1 | g), d, binomial)))
  expect_match(bootstrap(apart, 5, seed = 1)$messages$text, "separation: x", all = FALSE)

  small <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff2, control = list(check = FALSE))
  expect_gt(sum(bootstrap(small, 20, seed = 1)$singular), 5)
})

test_that("arguments are checked", {
  bad <- function(...) expect_error(bootstrap(...), class = "partialpool_error_argument")
  bad(1)
  bad(fit, 0)
  bad(fit, 10, "wild")
  bad(fit, 10, statistic = "fixef")
  bad(fit, 10, statistic = function(fit) "a")
  bad(fit, 10, seed = 1.5)
  bad(fit, 10, statistics = fixef)
  bad(fit, 10, "cases", use_random = TRUE)
  bad(binary, 10, "semiparametric")
  expect_snapshot(error = TRUE, {
    bootstrap(binary, 10, "semiparametric")
    bootstrap(fit, 10, "cases", by = "Days")
  })
})

test_that("generalised models of every kind are refitted", {
  b <- bootstrap(binary, 30, seed = 1)
  expect_equal(b$failed, 0L)
  expect_equal(names(b$t0), names(partialpool:::natural_parameters(binary)))
  y <- simulate(binary, seed = 9)[[1]]
  expect_equal(
    partialpool:::natural_parameters(partialpool:::warm_refit(binary, y)),
    partialpool:::natural_parameters(refit(binary, y)), tolerance = 1e-4
  )
  set.seed(1)
  d <- data.frame(g = rep(1:12, each = 8), x = rnorm(96))
  d$y <- rnbinom(96, mu = exp(0.5 + 0.3 * d$x + rnorm(12, sd = 0.5)[d$g]), size = 2)
  d$y[3] <- NA
  counts <- suppressMessages(glmm(y ~ x + (1 | g), d, nbinom2(), na.action = na.exclude))
  b <- bootstrap(counts, 5, seed = 1)
  expect_equal(b$failed, 0L)
  expect_true("disp.(Intercept)" %in% names(b$t0))
  expect_equal(bootstrap(counts, 5, "cases", seed = 1)$failed, 0L)
})

test_that("a fit of a matrix", {
  m <- lmm(cbind(day = sleepstudy$Days), sleepstudy$Reaction, sleepstudy$Subject)
  b <- bootstrap(m, 3, seed = 1, statistic = function(fit) c(fit$params, fit$rsquared))
  expect_equal(b$t[, 1:2], bootstrap(m, 3, seed = 1)$t[, 3:4], ignore_attr = TRUE)
  expect_gt(sd(b$t[, 3]), 0)
  b <- bootstrap(m, 3, "cases", seed = 1, statistic = function(fit) c(fit$params, fit$rsquared))
  expect_equal(b$failed, 0L)
})

test_that("kernel models have a parametric bootstrap", {
  set.seed(1)
  G <- scale(matrix(rbinom(40 * 30, 2, 0.4), 40))
  K <- tcrossprod(G) / 30
  y <- drop(G %*% rnorm(30, sd = 0.2)) + rnorm(40)
  k <- kernel_lmm(y, kernel = K)
  b <- bootstrap(k, 10, seed = 1)
  expect_equal(b$failed, 0L)
  expect_equal(names(b$t0)[1:2], c("scale", "delta"))
  expect_error(bootstrap(k, 10, "cases"), class = "partialpool_error_argument")
  expect_error(bootstrap(kernel_lmm(y, kernel = K, fit = FALSE), 10),
               class = "partialpool_error_argument")
  K <- K + diag(0.1, 40)
  dimnames(K) <- list(1:40, 1:40)
  m <- suppressMessages(lmm(y ~ 1 + (1 | id), list(y = c(y, y + rnorm(40)), id = rep(1:40, 2)),
                            kernel = list(id = K)))
  expect_equal(bootstrap(m, 4, "semiparametric", seed = 1)$failed, 0L)
  expect_error(bootstrap(m, 4, "cases"), class = "partialpool_error_argument")
})

test_that("intervals are those of the boot package", {
  b <- bootstrap(fit, 99, seed = 1)
  skip_if_not_installed("boot")
  theirs <- structure(
    list(t0 = b$t0, t = b$t, R = 99, sim = "parametric", call = quote(boot())), class = "boot"
  )
  for (k in c(1, 4, 6)) {
    ci <- boot::boot.ci(theirs, conf = 0.9, type = c("perc", "basic", "norm"), index = k)
    expect_equal(confint(b, k, 0.9)[1, ], ci$percent[4:5], ignore_attr = TRUE)
    expect_equal(confint(b, k, 0.9, type = "basic")[1, ], ci$basic[4:5], ignore_attr = TRUE)
    expect_equal(confint(b, k, 0.9, type = "norm")[1, ], ci$normal[2:3], ignore_attr = TRUE)
  }
})

test_that("intervals are found by name", {
  b <- bootstrap(fit, 50, seed = 1)
  expect_equal(rownames(confint(b, c(".sig01", ".sigma", "Days"))),
               c("sd_(Intercept)|Subject", "sigma", "Days"))
  expect_equal(rownames(confint(b, "beta_")), c("(Intercept)", "Days"))
  expect_equal(rownames(confint(b, "theta_")), names(b$t0)[1:4])
  expect_error(confint(b, "days"), class = "partialpool_error_argument")
  expect_error(confint(b, type = "bca"), class = "partialpool_error_argument")
  expect_warning(confint(bootstrap(fit, 20, seed = 1)), class = "partialpool_warning_argument")
  expect_equal(dim(as.data.frame(b)), c(50L, 6L))
  expect_equal(names(as.data.frame(b)), names(b$t0))
})

test_that("a bootstrap is printed and drawn", {
  b <- bootstrap(fit, 60, seed = 1)
  expect_snapshot(print(b))
  expect_snapshot(print(summary(b), digits = 4))
  path <- withr::local_tempfile(fileext = ".png")
  png(path)
  expect_invisible(plot(b))
  expect_invisible(plot(b, parm = "Days", main = "x"))
  dev.off()
  expect_gt(file.size(path), 5000)
})
