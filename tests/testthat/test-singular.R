test_that("a variance of zero is exact, certified and named", {
  expect_message(fit <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff2),
                 "variance of \\(Intercept\\) is zero", class = "partialpool_message_singular")
  expect_identical(unname(fit$theta), 0)
  expect_true(is_singular(fit))
  expect_equal(fit$convergence$components,
               data.frame(term = "Batch", what = "the variance of (Intercept) is zero"))
  expect_equal(fit$criterion, 161.828277812, tolerance = 1e-10)
  expect_true(all(ranef(fit)$Batch == 0))
})

test_that("a correlation at its limit is named with its sign", {
  skip_if_not_installed("mlmRev")
  expect_message(fit <- lmm(cog ~ age * trt + (age | id), mlmRev::Early),
                 "correlation of \\(Intercept\\) and age is [+-]1",
                 class = "partialpool_message_singular")
  r <- attr(VarCorr(fit)$id, "correlation")[1, 2]
  expect_equal(abs(r), 1, tolerance = 1e-8)
  expect_match(fit$convergence$components$what, if (r > 0) "\\+1" else "-1")
})

test_that("a healthy fit is not called singular", {
  expect_silent(fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy))
  expect_false(is_singular(fit))
  expect_equal(nrow(fit$convergence$components), 0)
})

test_that("the maximal model reaches its singular optimum: rank 2 and 2 of 4", {
  d <- kb_data()
  f <- rt ~ spkr * prec * load + (1 + spkr + prec + load | subj) + (1 + spkr + prec + load | item)
  fit <- quietly(lmm(f, d, REML = FALSE))
  expect_lte(fit$criterion, 28739.366953 + 1e-5)
  expect_equal(fit$convergence$status, "converged")
  rank <- vapply(fit$Lambda, function(l) sum(svd(l)$d > 1e-6 * max(svd(l)$d)), 0)
  expect_equal(unname(rank), c(2, 2))
  expect_equal(nrow(fit$convergence$components), 2)
})

test_that("a correlation parameter at its limit is named", {
  set.seed(11)
  d <- data.frame(g = gl(30, 4), t = factor(rep(1:4, 30)))
  d$y <- rnorm(30)[d$g] + 0.3 * rnorm(120)
  fit <- quietly(lmm(y ~ 1 + ar1(0 + t | g), d))
  if (fit$theta[["g.rho"]] > 1 - 1e-5) {
    expect_match(fit$convergence$components$what, "limit")
  }
  fit2 <- suppressWarnings(quietly(lmm(y ~ 1 + cs(0 + t | g, hom = TRUE), d)))
  expect_lte(fit2$criterion, lmm(y ~ 1 + (1 | g), d)$criterion + 1e-7)
})

test_that("every component zero: the FiNN demonstration data equal lm (SEEDS 2, 3)", {
  d <- finn_factors()
  fit <- quietly(lmm(finn_formula, d))
  expect_equal(fit$criterion, 471853.247065, tolerance = 1e-4 / 471853)
  expect_equal(unname(coef(fit)), c(.10239796652, .81588592501, -.02224523735, .03715327773,
                                    -.01483046737), tolerance = 1e-8)
  sds <- vapply(VarCorr(fit), function(v) attr(v, "stddev"), 0)
  expect_true(all(sds < 1e-3 * sigma(fit)))
  expect_setequal(fit$convergence$components$term,
                  c("random_effect_A", "random_effect_A:nested_random_effect_A"))
  m <- stats::lm(stats::formula(fit, fixed.only = TRUE), d)
  expect_equal(coef(fit), coef(m), tolerance = 1e-8)
})

test_that("SEEDS 1: a matrix with labels and types gives the same fit", {
  m <- as.matrix(finn_demo)
  types <- c("continuous", "categorical", "categorical", "continuous", "categorical", "categorical")
  d <- model_data(m, colnames(m), types)
  expect_equal(levels(d$categorical_factor_B)[1], "-2")
  expect_equal(coef(quietly(lmm(finn_formula, d))), coef(quietly(lmm(finn_formula, finn_factors()))))
})

test_that("SEEDS 5: contrasts are honoured", {
  fit <- quietly(lmm(finn_formula, finn_factors(), contrasts = list(
    categorical_factor_A = contr.sum, categorical_factor_B = contr.sum)))
  expect_equal(coef(fit)[["continous_factor_A"]], .02973804404, tolerance = 1e-7)
  table <- coef(summary(fit, ddf = "none"))
  z <- table[, "Estimate"] / table[, "Std. Error"]
  expect_equal(unname(z["continous_factor_A"]^2), 13.573535725, tolerance = 1e-5)
  expect_equal(unname(z["(Intercept)"]^2), 3704.494560, tolerance = 1e-5)
})

test_that("a covariance that the data do not determine is a warning that names the term", {
  # one row a cell: a homogeneous cs and the residual variance are one and the same
  expect_warning(
    fit <- lmm(Reaction ~ Days + cs(0 + factor(Days) | Subject, hom = TRUE), sleepstudy),
    "factor\\(Days\\)", class = "partialpool_warning_identifiability"
  )
  expect_equal(fit$criterion, lmm(Reaction ~ Days + (1 | Subject), sleepstudy)$criterion,
               tolerance = 1e-9)
  # rotations of an unstructured Lambda are not meant
  expect_silent(lmm(Reaction ~ Days + (Days + I(Days^2) | Subject), sleepstudy))
})
