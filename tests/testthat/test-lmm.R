test_that("lmm() reports the classes, fields and counts it promises", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_s3_class(fit, c("pp_lmm", "pp_fit"), exact = TRUE)
  expect_false(inherits(fit, "merMod"))
  expect_identical(names(coef(fit)), rownames(vcov(fit)))
  expect_named(fit$theta, c("Subject.(Intercept)", "Subject.Days.(Intercept)", "Subject.Days"))
  expect_equal(fit$df, 6L)
  expect_lte(fit$convergence$evaluations, 8L)
  expect_lt(fit$convergence$decrement, 1e-8)
})

test_that("a fit survives saveRDS and knows nothing of the session", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  again <- readRDS(file)
  expect_equal(ranef(again), ranef(fit))
  expect_equal(coef(summary(again)), coef(summary(fit)))
  types <- rapply(unclass(fit), typeof, how = "unlist")
  expect_false("externalptr" %in% types)
})

test_that("SEEDS 53, 54: sleepstudy by REML and ML", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(as.numeric(logLik(fit)), -871.814135979, tolerance = 1e-10)
  expect_equal(unname(coef(fit)), c(251.4051048485, 10.4672859596), tolerance = 1e-9)
  expect_equal(sigma(fit)^2, 654.941026891, tolerance = 1e-6)
  expect_equal(unname(VarCorr(fit)$Subject[c(1, 2, 4)]), c(612.089940, 9.604332, 35.071661),
               tolerance = 1e-5)
  expect_equal(unname(fit$theta), c(.9667329532, .0151690529, .2309095951), tolerance = 1e-5)
  ml <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
  expect_equal(as.numeric(logLik(ml)), -875.969672232, tolerance = 1e-10)
  expect_equal(unname(VarCorr(ml)$Subject[c(1, 2, 4)]), c(565.515368, 11.055428, 32.682197),
               tolerance = 1e-5)
})

test_that("SEEDS 57: simulated data with known parameters", {
  s <- utils::read.csv(test_path("fixtures", "C_lmm_sim_seed23.csv"))
  fit <- lmm(y_sim ~ Days + (Days | Subject), s)
  predicted <- cbind(s$gamma0, s$gamma1)[!duplicated(s$Subject), ]
  expect_equal(stats::cor(c(t(predicted)), c(t(as.matrix(ranef(fit)$Subject)))), .8709, tolerance = 1e-4)
  expect_equal(sigma(fit)^2, .104517772723, tolerance = 1e-6)
  expect_equal(unname(VarCorr(fit)[[1]][c(1, 2, 4)]), c(.0245185949, .0256374340, .1147165551),
               tolerance = 1e-5)
  expect_equal(unname(coef(fit)), c(2.02667544059, 1.01888476130), tolerance = 1e-8)
  expect_equal(as.numeric(logLik(fit)), -110.663065269, tolerance = 1e-8)
})

test_that("the covariance structures are those that glmmTMB fits", {
  skip_if_not_installed("glmmTMB")
  d <- small_data()
  tmb <- function(formula) {
    suppressWarnings(-2 * as.numeric(logLik(glmmTMB::glmmTMB(formula, d, REML = FALSE))))
  }
  ours <- function(formula) quietly(lmm(formula, d, REML = FALSE))$criterion
  expect_equal(ours(y ~ x + cs(0 + t | g)), tmb(y ~ x + cs(0 + t | g)), tolerance = 1e-7)
  expect_equal(ours(y ~ x + ar1(0 + t | g)), tmb(y ~ x + ar1(0 + t | g)), tolerance = 1e-7)
  expect_equal(ours(y ~ x + diag(x + z | g)), tmb(y ~ x + diag(x + z | g)), tolerance = 1e-7)
})

test_that("structures nest as they should", {
  d <- small_data()
  f <- function(formula) quietly(lmm(formula, d))
  us <- f(y ~ x + (0 + t | g))
  cs <- f(y ~ x + cs(0 + t | g))
  hom <- f(y ~ x + cs(0 + t | g, hom = TRUE))
  ar1 <- f(y ~ x + ar1(0 + t | g, hom = FALSE))
  ar1_hom <- f(y ~ x + ar1(0 + t | g))
  expect_lte(us$criterion, cs$criterion + 1e-7)
  expect_lte(cs$criterion, hom$criterion + 1e-7)
  expect_lte(us$criterion, ar1$criterion + 1e-7)
  expect_lte(ar1$criterion, ar1_hom$criterion + 1e-7)
  # a homogeneous cs with rho >= 0 is an intercept plus an interaction
  two <- f(y ~ x + (1 | g) + (1 | g:t))
  expect_equal(hom$criterion, two$criterion, tolerance = 1e-9)
  expect_equal(c(us$df, cs$df, hom$df, ar1$df, ar1_hom$df), c(10, 5, 2, 5, 2) + 3)
})

test_that("SEEDS 17: no random terms is lm, and says so", {
  p <- probe()
  expect_message(fit <- lmm(y ~ A + B + x, p), class = "partialpool_message_random")
  m <- stats::lm(y ~ A + B + x, p)
  expect_equal(coef(fit), coef(m), tolerance = 1e-10)
  expect_equal(vcov(fit), vcov(m), tolerance = 1e-10)
  expect_equal(sigma(fit), sigma(m), tolerance = 1e-10)
  expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(m, REML = TRUE)), tolerance = 1e-10)
  expect_equal(coef(fit)[["A1"]], .49485464, tolerance = 1e-7)
})

test_that("SEEDS 19: a rank-deficient X loses the column, by name", {
  p <- transform(probe(), z = 2 * x)
  expect_message(fit <- lmm(y ~ A + x + z + (1 | g), p), "z", class = "partialpool_message_rank")
  plain <- lmm(y ~ A + x + (1 | g), p)
  expect_equal(coef(fit), coef(plain), tolerance = 1e-10)
  table <- coef(summary(fit))
  expect_equal(rownames(table), c("(Intercept)", "A1", "x", "z"))
  expect_true(all(is.na(table["z", ])))
  expect_equal(table["x", ], coef(summary(plain))["x", ], tolerance = 1e-8)
})

test_that("an empty cell drops the interaction that it leaves without data", {
  d <- small_data()
  d$a <- factor(rep(1:2, length.out = nrow(d)))
  d <- d[!(d$a == "2" & d$t == "3"), ]
  expect_message(fit <- lmm(y ~ a * t + (1 | g), d), class = "partialpool_message_rank")
  m <- stats::lm(y ~ a * t, d)
  expect_identical(fit$aliased, names(which(is.na(coef(m)))))
})

test_that("SEEDS 20: missing rows are dropped and counted", {
  p <- probe()
  p$y[6] <- NA
  p$x[10] <- NA
  fit <- lmm(y ~ A + x + (1 | g), p)
  expect_equal(nobs(fit), 598)
  expect_output(print(summary(fit)), "598")
})

test_that("SEEDS 26: input and workspace stay as they were", {
  p <- probe()
  before <- p
  objects <- ls(globalenv())
  lmm(y ~ A + B + x + (1 | g), p)
  try(lmm(y ~ A + nothing + (1 | g), p), silent = TRUE)
  expect_identical(p, before)
  expect_identical(ls(globalenv()), objects)
})

test_that("a random term with collinear columns is fitted without them", {
  d <- small_data()
  d$x2 <- 2 * d$x
  expect_message(fit <- lmm(y ~ x + (x + x2 | g), d), "x2", class = "partialpool_message_rank")
  expect_equal(fit$criterion, lmm(y ~ x + (x | g), d)$criterion, tolerance = 1e-10)
})

test_that("nearly collinear predictors give a warning, large means do not", {
  d <- small_data()
  d$x2 <- d$x + 1e-6 * d$z
  expect_warning(lmm(y ~ x + x2 + (1 | g), d), class = "partialpool_warning_rank")
  d$year <- 2000 + seq_len(nrow(d)) / 100
  expect_silent(lmm(y ~ year + (1 | g), d))
})

test_that("a residual variance of zero is an error that says so", {
  d <- data.frame(g = gl(6, 4), x = rnorm(24))
  d$y <- as.numeric(d$g)
  expect_error(lmm(y ~ x + (1 | g), d), class = "partialpool_error_fit")
  d$y <- 1 + 2 * d$x
  expect_error(lmm(y ~ x + (1 | g), d), class = "partialpool_error_fit")
})

test_that("an optimum that was not reached is a warning with what is still to gain", {
  expect_warning(
    lmm(Reaction ~ Days + (Days | Subject), sleepstudy, control = pp_control(max_iterations = 1L)),
    "still to gain", class = "partialpool_warning_fit"
  )
})

test_that("progress prints a line an iteration", {
  expect_output(
    lmm(Reaction ~ Days + (Days | Subject), sleepstudy, control = pp_control(progress = TRUE)),
    "iteration 1"
  )
})

test_that("a residual variance far below that of the groups is a fit, not an error", {
  set.seed(1)
  d <- transform(sleepstudy, y = as.numeric(Subject) + rnorm(180) * 1e-4)
  fit <- lmm(y ~ 1 + (1 | Subject), d)
  within <- stats::lm(y ~ Subject, d)
  expect_equal(sigma(fit), sigma(within), tolerance = 1e-4)
  expect_equal(fit$convergence$status, "converged")
})

test_that("a response that is constant within groups is an error with slopes too", {
  set.seed(3)
  d <- data.frame(g = gl(10, 6), x = rnorm(60))
  d$y <- as.numeric(d$g)
  expect_error(lmm(y ~ x + (x | g), d), class = "partialpool_error_fit")
  expect_error(lmm(y ~ 1 + (x | g), d), class = "partialpool_error_fit")
})

test_that("neither start nor sign of the factor shows in the estimates (row 67)", {
  formula <- Reaction ~ Days + (Days | Subject)
  plain <- VarCorr(lmm(formula, sleepstudy))$Subject
  for (start in list(c(1, 0, 1), c(0.1, -0.5, 0.1), c(5, 2, 0.01), c(1, -3, 1))) {
    Q <- VarCorr(lmm(formula, sleepstudy, start = start))$Subject
    expect_equal(c(Q), c(plain), tolerance = 1e-6)
    expect_true(all(eigen(Q, symmetric = TRUE, only.values = TRUE)$values > 0))
    expect_equal(attr(Q, "correlation")[1, 2], 0.0655513, tolerance = 1e-5)
  }
})
