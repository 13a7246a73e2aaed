d <- small_data()

lambda_of <- function(f, theta) engine_estimates(f$engine, theta)$Lambda

test_that("the criterion is that of the dense definition, weights and offset included", {
  for (formula in structured_formulas) {
    for (REML in c(TRUE, FALSE)) {
      f <- objective(design(formula, d, weights = w, offset = o), REML)
      theta <- inner_theta(f$design$random)
      expect_equal(f$value(theta), dense_criterion(f$design, lambda_of(f, theta), REML),
                   tolerance = 1e-11, label = deparse(formula))
    }
  }
})

test_that("the gradient is that of numerical differentiation, on every structure", {
  skip_if_not_installed("numDeriv")
  for (formula in structured_formulas) {
    for (REML in c(TRUE, FALSE)) {
      f <- objective(design(formula, d, weights = w), REML)
      theta <- inner_theta(f$design$random)
      numeric <- numDeriv::grad(f$value, theta)
      expect_equal(unname(f$gradient(theta)), numeric, tolerance = 1e-6, label = deparse(formula))
    }
  }
})

test_that("the optimum is reached from the far side of zero too", {
  # the optimiser's scale may change sign on the way: Sigma does not
  f <- objective(design(y ~ x + ar1(0 + t | g), d))
  expect_equal(optimum(f, c(100, 0))$criterion, optimum(f)$criterion, tolerance = 1e-10)
})

test_that("the gradient is exact at a variance of zero, where it vanishes", {
  f <- objective(design(y ~ x + (1 | g) + (1 | h), d))
  expect_equal(unname(f$gradient(c(0, 1))[1]), 0)
  expect_gt(abs(f$gradient(c(0, 0.5))[2]), 1e-3)
  f <- objective(design(y ~ x + (x | g), d))
  expect_equal(unname(f$gradient(c(0, 0, 0))), c(0, 0, 0))
})

test_that("the storages of the factor agree", {
  many <- data.frame(a = rep(1:300, 4), b = rep(1:100, each = 12), c = rep(1:20, 60))
  set.seed(3)
  many$x <- rnorm(1200)
  many$y <- rnorm(300)[many$a] + rnorm(100)[many$b] + rnorm(20)[many$c] + rnorm(1200)
  # levels that meet more than 15 % of 300 trailing columns go through panels
  heavy <- data.frame(a = sample(400, 9000, TRUE, (1:400)^-0.8), b = sample(300, 9000, TRUE))
  heavy$x <- rnorm(9000)
  heavy$y <- rnorm(400)[heavy$a] + rnorm(300)[heavy$b] + rnorm(9000)
  cases <- list(
    list(y ~ x + (x | a) + (1 | b) + (x | c), many, c("sparse", "dense")),
    list(y ~ x + (1 | a) + (1 | b), heavy, c("sparse", "dense")),
    list(y ~ x + (x | a) + (1 | b), heavy, c("sparse", "dense")),
    list(y ~ x + (1 | g) + (x | k), d, c("nested", "sparse", "dense")),
    list(y ~ x + (x | g) + (z | h) + (1 | k), d, c("sparse", "dense"))
  )
  for (case in cases) {
    design <- design(case[[1]], case[[2]])
    for (REML in c(TRUE, FALSE)) {
      fs <- lapply(case[[3]], function(storage) engine_of(design, REML, storage, FALSE))
      theta <- inner_theta(fs[[1]]$design$random)
      for (i in seq_along(fs)[-1]) {
        expect_equal(fs[[i]]$value(theta), fs[[1]]$value(theta), tolerance = 1e-12)
        expect_equal(fs[[i]]$gradient(theta), fs[[1]]$gradient(theta), tolerance = 1e-10)
        a <- engine_optimise(fs[[1]]$engine, NULL, 1e-8, 100L, FALSE)
        b <- engine_optimise(fs[[i]]$engine, NULL, 1e-8, 100L, FALSE)
        expect_equal(b$criterion, a$criterion, tolerance = 1e-12)
        expect_equal(b$theta, a$theta, tolerance = 1e-5)
        expect_equal(engine_conditional(fs[[i]]$engine, theta, FALSE),
                     engine_conditional(fs[[1]]$engine, theta, FALSE), tolerance = 1e-10)
        expect_identical(b$storage, case[[3]][i])
      }
    }
  }
})

test_that("the storage is chosen from the pattern", {
  storage <- function(formula, data) quietly(lmm(formula, data))$convergence$storage
  expect_equal(storage(y ~ x + (1 | g), d), "one factor")
  expect_equal(storage(y ~ x + (1 | g/k), d), "nested")
  expect_equal(storage(y ~ x + (1 | g) + (1 | h), d), "dense")
  set.seed(5)
  n <- 3000
  a <- sample(1000, n, TRUE)
  chain <- data.frame(a = a, b = (a - 1) %/% 3, c = (a - 1) %/% 9)
  chain$y <- rnorm(1000)[chain$a] + rnorm(400)[chain$b + 1] + rnorm(112)[chain$c + 1] + rnorm(n)
  expect_equal(storage(y ~ 1 + (1 | a) + (1 | b) + (1 | c), chain), "sparse")
})

test_that("every start ends at the same optimum", {
  for (formula in structured_formulas[c("us", "crossed", "three", "diag", "cs", "ar1", "cs_hom")]) {
    f <- objective(design(formula, d))
    best <- optimum(f)$criterion
    roles <- theta_roles(f$design$random)
    for (size in c(1e-3, 1, 100)) {
      start <- unname(c(s = size, c = 0, r = 0)[roles])
      expect_equal(optimum(f, start)$criterion, best, tolerance = 1e-9,
                   label = paste(deparse(formula), size))
    }
  }
})

test_that("an absurd start ends at the optimum all the same", {
  f <- objective(design(Reaction ~ Days + (Days | Subject), sleepstudy))
  expect_equal(optimum(f, c(1e6, 0, 1e6))$criterion, 1743.628271959, tolerance = 1e-10)
  f <- objective(design(Reaction ~ Days + ar1(0 + factor(Days) | Subject), sleepstudy))
  expect_equal(optimum(f, c(1, -0.99))$criterion, optimum(f)$criterion, tolerance = 1e-9)
})

test_that("a start at zero, where every derivative vanishes, is left", {
  f <- objective(design(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin))
  expect_equal(optimum(f, c(0, 0))$criterion, 330.860589, tolerance = 1e-8)
  f <- objective(design(Reaction ~ Days + (Days | Subject), sleepstudy))
  expect_equal(optimum(f, c(0, 0, 0))$criterion, 1743.628271959, tolerance = 1e-10)
})

test_that("SEEDS 55: the criterion is a function, finite where log(det(V)) overflows", {
  f <- objective(design(Reaction ~ Days + (Days | Subject), sleepstudy))
  best <- optimum(f)
  expect_equal(best$criterion - 178 * log(2 * pi), 1416.48615, tolerance = 1e-7)
  expect_equal(best$sigma^2, 654.941027, tolerance = 1e-7)
  big <- sleepstudy[rep(seq_len(180), 112), ]
  big$Reaction <- big$Reaction + sin(seq_len(nrow(big)))
  f <- objective(design(Reaction ~ Days + (Days | Subject), big))
  expect_true(is.finite(f$value(c(1, 0, 1))))
})

test_that("the stages refuse what they cannot use, and print themselves", {
  expect_error(objective(1), class = "partialpool_error_argument")
  f <- objective(design(Reaction ~ Days + (Days | Subject), sleepstudy))
  expect_error(f$value(1), class = "partialpool_error_start")
  expect_error(optimum(f, c(1, 0)), class = "partialpool_error_start")
  expect_error(optimum(f, c(1, 0, NA)), class = "partialpool_error_start")
  expect_error(optimum(f, c(-1, 0, 1)), class = "partialpool_error_start")
  ar1 <- objective(design(y ~ x + ar1(0 + t | g), d))
  expect_error(optimum(ar1, c(1, 2)), "rho", class = "partialpool_error_start")
  expect_error(optimum(f, list(theta = c(1, 0, 1), fixef = 1)), class = "partialpool_error_start")
  expect_output(print(f), "REML criterion of Reaction")
  expect_output(print(optimum(f)), "converged after")
  expect_s3_class(new_fit(f, optimum(f)), "pp_lmm")
})
