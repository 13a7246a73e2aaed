linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))

test_that("the matrices are lme4's", {
  skip_if_not_installed("lme4")
  for (formula in c(
    Reaction ~ Days + (Days | Subject), Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)
  )) {
    parts <- components(lmm(formula, sleepstudy))
    reference <- lme4::lmer(formula, sleepstudy)
    me <- function(name) lme4::getME(reference, name)
    expect_equal(as.matrix(parts$Z), as.matrix(me("Z")), ignore_attr = TRUE)
    expect_equal(
      as.matrix(parts$Lambda), as.matrix(me("Lambda")),
      tolerance = 1e-3, ignore_attr = TRUE
    )
    expect_equal(parts$b, as.vector(me("b")), tolerance = 1e-3)
    expect_equal(parts$u, as.vector(me("u")), tolerance = 1e-3)
    expect_equal(parts$beta, lme4::fixef(reference), tolerance = 1e-6)
  }
})

test_that("the design of the sleep study is the documented one", {
  parts <- components(lmm(Reaction ~ Days + (Days | Subject), sleepstudy))
  expect_identical(dim(parts$X), c(180L, 2L))
  expect_identical(dim(parts$Z), c(180L, 36L))
  expect_s4_class(parts$Z, "dgCMatrix")
  expect_equal(as.vector(parts$Z[3, 1:3]), c(1, 2, 0))
  expect_equal(sum(parts$Z), 990)
  expect_identical(colnames(parts$Z)[1:2], c("Subject 308 (Intercept)", "Subject 308 Days"))
  expect_named(parts$codes, "Subject")
})

test_that("the pieces fit together: b = Lambda u, fitted values, also for a singular fit", {
  fits <- list(
    lmm(strength ~ 1 + (1 | batch / cask), Pastes),
    suppressMessages(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2)),
    lmm(Reaction ~ Days + offset(Days) + (Days | Subject), sleepstudy,
      weights = 1 + sleepstudy$Days %% 2
    )
  )
  for (fit in fits) {
    parts <- components(fit)
    expect_equal(as.vector(parts$Lambda %*% parts$u), parts$b, tolerance = 1e-7)
    eta <- as.vector(parts$X %*% parts$beta + parts$Z %*% parts$b) + parts$offset
    expect_equal(eta, unname(fitted(fit)))
  }
})

test_that("Henderson's equations of the pieces give GLS, BLUP and their standard errors", {
  parts <- components(lmm(Reaction ~ Days + (Days | Subject), sleepstudy))
  G <- as.matrix(parts$sigma^2 * Matrix::tcrossprod(parts$Lambda))
  M <- cbind(parts$X, as.matrix(parts$Z))
  C <- crossprod(M) / parts$sigma^2
  random <- 2 + seq_len(ncol(parts$Z))
  C[random, random] <- C[random, random] + solve(G)
  solution <- solve(C, crossprod(M, parts$y) / parts$sigma^2)
  expect_equal(solution[1:2], unname(parts$beta), tolerance = 1e-9)
  expect_equal(solution[random], parts$b, tolerance = 1e-7)
  expect_equal(
    parts$b[1:4], c(2.25856548, 9.19897189, -40.39858022, -8.61970266),
    tolerance = 1e-5
  )
  sd <- unname(sqrt(diag(solve(C))))
  expect_equal(sd[1], 6.82455654, tolerance = 1e-5)
  expect_equal(sd[3], 13.1002051, tolerance = 1e-5)
})

test_that("L factorises the penalised normal equations", {
  d <- transform(sleepstudy, w = 1 + Days %% 3)
  parts <- components(lmm(Reaction ~ Days + (Days | Subject), d, weights = w))
  ZL <- parts$Z %*% parts$Lambda
  A <- as.matrix(Matrix::crossprod(sqrt(parts$weights) * ZL)) + diag(ncol(ZL))
  right <- seq_len(ncol(ZL))
  expect_equal(as.vector(Matrix::solve(parts$L, right)), as.vector(solve(A, right)))
})

test_that("a fit without random terms has empty random pieces", {
  parts <- components(linear_fit())
  expect_identical(dim(parts$Z), c(180L, 0L))
  expect_length(parts$u, 0L)
  expect_null(parts$L)
})
