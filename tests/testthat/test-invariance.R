# The same model told in another way must give the same answer.

same_fit <- function(a, b, tolerance = 1e-7, coefficients = TRUE) {
  expect_equal(a$criterion, b$criterion, tolerance = 1e-10)
  if (coefficients) expect_equal(unname(coef(a)), unname(coef(b)), tolerance = tolerance)
  expect_equal(unname(sigma(a)), unname(sigma(b)), tolerance = tolerance)
}
d <- small_data()
formula <- y ~ x + (x | g) + (1 | h)
fit <- lmm(formula, d)

test_that("rows may be permuted", {
  set.seed(1)
  same_fit(lmm(formula, d[sample(nrow(d)), ]), fit)
})

test_that("levels may be renamed and reordered", {
  e <- d
  e$g <- factor(paste0("level ", e$g), levels = paste0("level ", sample(levels(d$g))))
  e$h <- as.character(e$h)
  again <- lmm(formula, e)
  same_fit(again, fit)
  expect_equal(ranef(again)$g["level 3", "x"], ranef(fit)$g["3", "x"], tolerance = 1e-6)
})

test_that("units do not matter: response and predictors rescaled and shifted", {
  n <- nrow(d)
  for (c in c(1e-8, 1e8)) {
    again <- lmm(formula, transform(d, y = y * c))
    expect_equal(again$criterion, fit$criterion + 2 * (n - 2) * log(c), tolerance = 1e-9)
    expect_equal(again$theta, fit$theta, tolerance = 1e-6)
    expect_equal(sigma(again), sigma(fit) * c, tolerance = 1e-8)
    again <- lmm(formula, transform(d, x = x * c))
    expect_equal(again$criterion, fit$criterion + 2 * log(c), tolerance = 1e-9)
    expect_equal(coef(again)[["x"]], coef(fit)[["x"]] / c, tolerance = 1e-7)
    expect_equal(attr(VarCorr(again)$g, "stddev")[["x"]],
                 attr(VarCorr(fit)$g, "stddev")[["x"]] / c, tolerance = 1e-6)
  }
  for (c in c(1e-200, 1e200)) {
    again <- lmm(formula, transform(d, y = y * c))
    expect_equal(sigma(again), sigma(fit) * c, tolerance = 1e-8)
    expect_equal(again$theta, fit$theta, tolerance = 1e-6)
  }
  again <- lmm(formula, transform(d, y = y + 1e9))
  expect_equal(again$criterion, fit$criterion, tolerance = 1e-9)
  expect_equal(coef(again)[["x"]], coef(fit)[["x"]], tolerance = 1e-6)
  again <- lmm(formula, transform(d, x = x + 1e5))
  expect_equal(again$criterion, fit$criterion, tolerance = 1e-9)
  expect_equal(coef(again)[["x"]], coef(fit)[["x"]], tolerance = 1e-7)
})

test_that("sleepstudy in extreme units keeps its optimum (lme4 ends up to 43 units too high)", {
  base <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)$criterion
  f <- function(data) lmm(Reaction ~ Days + (Days | Subject), data)
  expect_equal(f(transform(sleepstudy, Reaction = Reaction + 1e10))$criterion, base, tolerance = 1e-9)
  expect_equal(f(transform(sleepstudy, Days = Days + 1e5))$criterion, base, tolerance = 1e-9)
  for (c in c(1e-12, 1e12)) {
    again <- f(transform(sleepstudy, Days = Days * c))
    expect_equal(again$criterion, base + 2 * log(c), tolerance = 1e-9)
  }
})

test_that("integer weights equal replicated rows", {
  # Within a row's copies nothing but noise differs: the criteria differ by what y's within-row
  # variation would have told, here nothing, so compare estimates at equal sigma through ML algebra.
  set.seed(2)
  times <- sample(1:3, nrow(d), TRUE)
  weighted <- objective(design(formula, transform(d, w = times), weights = w), REML = FALSE)
  repeated <- objective(design(formula, d[rep(seq_len(nrow(d)), times), ]), REML = FALSE)
  theta <- c(0.7, 0.1, 0.5, 0.4)
  a <- engine_estimates(weighted$engine, theta)
  b <- engine_estimates(repeated$engine, theta)
  expect_equal(a$coefficients, b$coefficients, tolerance = 1e-10)
  expect_equal(a$b, b$b, tolerance = 1e-9)
  expect_equal(a$vcov_unscaled, b$vcov_unscaled, tolerance = 1e-10)
  # sigma^2 = r^2 / n with the same r^2
  expect_equal(a$sigma^2 * nrow(d), b$sigma^2 * sum(times), tolerance = 1e-10)
})

test_that("the unit of the weights does not matter", {
  a <- lmm(formula, d, weights = w)
  b <- lmm(formula, d, weights = 1e6 * w)
  expect_equal(coef(a), coef(b), tolerance = 1e-8)
  expect_equal(sigma(b), sigma(a) * 1e3, tolerance = 1e-7)
  expect_equal(vcov(a), vcov(b), tolerance = 1e-6)
  expect_equal(a$criterion, b$criterion, tolerance = 1e-9)
})

test_that("an offset is a shifted response", {
  a <- lmm(y ~ x + offset(o) + (x | g) + (1 | h), d)
  b <- lmm(formula, transform(d, y = y - o))
  same_fit(a, b)
  same_fit(lmm(formula, d, offset = o), b)
  expect_equal(unname(fitted(a) - d$o), unname(fitted(b)), tolerance = 1e-7)
})

test_that("(1 | a/b) is its expansion, and terms may come in any order", {
  same_fit(lmm(y ~ x + (1 | g/t), d), lmm(y ~ x + (1 | g:t) + (1 | g), d))
  same_fit(lmm(y ~ x + (1 | h) + (x | g), d), fit)
  # amalgamation: two terms on one factor are the double bar
  same_fit(lmm(y ~ x + (1 | g) + (0 + x | g), d), lmm(y ~ x + (x || g), d))
})

test_that("REML changes with a recoding of X by its known constant only", {
  e <- transform(d, f = factor(t))
  a <- lmm(y ~ f + x + (1 | g), e)
  b <- lmm(y ~ f + x + (1 | g), e, contrasts = list(f = "contr.sum"))
  Xa <- model.matrix(a)
  Xb <- model.matrix(b)
  T <- qr.solve(Xb, Xa) # Xa = Xb T
  expect_equal(a$criterion - b$criterion, 2 * log(abs(det(T))), tolerance = 1e-8)
  expect_equal(a$theta, b$theta, tolerance = 1e-6)
  expect_equal(unname(fitted(a)), unname(fitted(b)), tolerance = 1e-7)
  ma <- lmm(y ~ f + x + (1 | g), e, REML = FALSE)
  mb <- lmm(y ~ f + x + (1 | g), e, REML = FALSE, contrasts = list(f = "contr.sum"))
  expect_equal(ma$criterion, mb$criterion, tolerance = 1e-11)
})

test_that("an unstructured term does not depend on the coding of its columns", {
  a <- lmm(y ~ x + (t | g), d)
  b <- lmm(y ~ x + (0 + t | g), d)
  same_fit(a, b, tolerance = 1e-5)
  same_fit(lmm(y ~ x + (x | g), d), lmm(y ~ x + (I(3 - 2 * x) | g), d))
})

test_that("rows of weight zero are as good as absent", {
  e <- transform(d, w0 = ifelse(seq_len(nrow(d)) %% 7 == 0, 0, 1))
  a <- quietly(lmm(formula, e, weights = w0))
  b <- lmm(formula, e[e$w0 > 0, ])
  same_fit(a, b)
  expect_equal(nobs(a), nobs(b))
  expect_equal(a$dropped_weights, sum(e$w0 == 0))
})
