# What methods ask of the engine, against dense definitions and other packages.

d <- small_data()

dense_pieces <- function(fit) {
  n <- fit$n
  Z <- do.call(cbind, lapply(fit$random, function(term) {
    z <- if (is.null(term$z)) matrix(1, n, 1) else term$z
    p <- ncol(z)
    out <- matrix(0, n, p * length(term$levels))
    for (c in seq_len(p)) out[cbind(seq_len(n), (term$codes - 1) * p + c)] <- z[, c]
    out
  }))
  L <- as.matrix(Matrix::bdiag(unlist(lapply(seq_along(fit$random), function(t) {
    rep(list(fit$Lambda[[t]]), length(fit$random[[t]]$levels))
  }), recursive = FALSE)))
  w <- if (is.null(fit$weights)) rep(1, n) else fit$weights
  list(Z = Z, L = L, W = w)
}

# Covariance of (b - b_hat, beta - beta_hat) over sigma^2, beta known or not.
dense_joint <- function(fit) {
  p <- dense_pieces(fit)
  ZL <- p$Z %*% p$L
  M <- crossprod(ZL, p$W * ZL) + diag(ncol(ZL))
  known <- p$L %*% solve(M) %*% t(p$L)
  X <- fit$X
  full <- rbind(
    cbind(M, crossprod(ZL, p$W * X)),
    cbind(crossprod(X, p$W * ZL), crossprod(X, p$W * X))
  )
  LB <- as.matrix(Matrix::bdiag(p$L, diag(ncol(X))))
  list(known = known, full = LB %*% solve(full) %*% t(LB), Z = p$Z)
}

formulas <- structured_formulas[c("us", "crossed", "nested_slopes", "three", "amalgamated", "cs")]

test_that("conditional covariances are the blocks of the dense inverse", {
  for (formula in formulas) {
    fit <- quietly(lmm(formula, d, weights = w))
    eng <- engine(fit)
    joint <- dense_joint(fit)
    for (beta_known in c(TRUE, FALSE)) {
      ours <- engine_conditional_covariance(eng, fit, beta_known)
      whole <- fit$sigma^2 * if (beta_known) joint$known else joint$full
      at <- 0
      for (t in seq_along(fit$random)) {
        p <- length(fit$random[[t]]$columns)
        for (j in seq_along(fit$random[[t]]$levels)) {
          i <- at + seq_len(p)
          expect_equal(unname(ours[[t]][, , j]), unname(whole[i, i]), tolerance = 1e-8,
                       ignore_attr = TRUE)
          at <- at + p
        }
      }
    }
  }
})

test_that("prediction variances are the dense quadratic forms, terms left out included", {
  for (formula in formulas) {
    fit <- quietly(lmm(formula, d, weights = w))
    rows <- c(1, 50, 133)
    codes <- lapply(fit$random, function(term) term$codes[rows])
    codes[[1]][2] <- 0L
    z <- lapply(fit$random, function(term) if (!is.null(term$z)) term$z[rows, , drop = FALSE])
    ours <- engine_prediction_variance(engine(fit), fit, fit$X[rows, , drop = FALSE], codes, z)
    joint <- dense_joint(fit)
    zx <- cbind(joint$Z[rows, ], fit$X[rows, ])
    q1 <- length(fit$random[[1]]$levels) * length(fit$random[[1]]$columns)
    zx[2, seq_len(q1)] <- 0
    expect_equal(ours, fit$sigma^2 * unname(rowSums((zx %*% joint$full) * zx)), tolerance = 1e-8)
  }
})

test_that("Satterthwaite's df are lmerTest's", {
  skip_if_not_installed("lmerTest")
  machines <- as.data.frame(nlme::Machines)[-c(1, 5, 20, 33), ]
  cases <- list(
    list(Reaction ~ Days + (Days | Subject), sleepstudy),
    list(score ~ Machine + (1 | Worker) + (1 | Worker:Machine), machines),
    list(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin),
    list(y ~ x + z + (x | g) + (1 | h), d)
  )
  for (case in cases) {
    fit <- lmm(case[[1]], case[[2]])
    # lmerTest differentiates numerically at lme4's optimum: give it ours
    theirs <- lmerTest::lmer(case[[1]], case[[2]], control = lme4::lmerControl(
      optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10)))
    df <- satterthwaite_df(fit)(diag(length(coef(fit))))
    expect_equal(df, unname(coef(summary(theirs))[, "df"]), tolerance = 1e-4)
  }
  # lmerTest at lme4's default optimum, theta 3e-6 away, prints 8.515843, 10.06486, 10.02568;
  # at a tight optimum, and by numerical Hessian of the dense criterion, it is these:
  fit <- lmm(cases[[2]][[1]], machines)
  expect_equal(satterthwaite_df(fit)(diag(3)), c(8.5158479, 10.0648722, 10.0257000),
               tolerance = 1e-7)
})

test_that("df of a fit with every variance zero are n - p", {
  fit <- quietly(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_equal(satterthwaite_df(fit)(matrix(1)), 29, tolerance = 1e-6)
})

test_that("SEEDS 58: SEs of the variance parameters are on their natural scale", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  se <- sqrt(diag(engine_parameter_covariance(engine(fit), fit)))
  expect_equal(unname(se), c(288.738, 46.5501, 14.7801, 77.1838), tolerance = 1e-3)
  expect_named(se, c("Subject.(Intercept)", "Subject.Days.(Intercept)", "Subject.Days", "Residual"))
})

test_that("covariance of the variance parameters is the inverse of a numerical Hessian", {
  skip_if_not_installed("numDeriv")
  for (formula in structured_formulas[c("intercept", "crossed", "diag")]) {
    fit <- lmm(formula, d)
    f <- objective(design_of(fit))
    k <- length(fit$theta)
    # joint -2 log restricted likelihood over (theta, sigma), from the profiled one
    joint <- function(par) {
      theta <- par[seq_len(k)]
      e <- engine_estimates(f$engine, theta)
      nu <- fit$n - length(coef(fit))
      e$criterion - nu * (1 + log(e$sigma^2)) + nu * (2 * log(par[k + 1]) + e$sigma^2 / par[k + 1]^2)
    }
    natural <- function(par) {
      L <- engine_estimates(f$engine, par[seq_len(k)])$Lambda
      out <- lapply(seq_along(L), function(t) {
        S <- par[k + 1]^2 * tcrossprod(L[[t]])
        if (fit$random[[t]]$structure == "diag") diag(S) else S[lower.tri(S, TRUE)]
      })
      c(unlist(out), par[k + 1]^2)
    }
    at <- c(fit$theta, fit$sigma)
    H <- numDeriv::hessian(joint, at)
    J <- numDeriv::jacobian(natural, at)
    expect_equal(unname(engine_parameter_covariance(engine(fit), fit)),
                 J %*% (2 * solve(H)) %*% t(J), tolerance = 1e-4)
  }
})
