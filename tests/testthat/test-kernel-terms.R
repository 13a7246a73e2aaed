# A positive definite covariance of J levels, with names.
random_kernel <- function(J, rank = J + 5, seed = 11) {
  set.seed(seed)
  K <- tcrossprod(matrix(rnorm(J * rank), J)) / rank
  dimnames(K) <- list(seq_len(J), seq_len(J))
  K
}

unit_kernel <- function(levels) {
  K <- diag(length(levels))
  dimnames(K) <- list(levels, levels)
  K
}

kernel_data <- function(n = 150, J = 15, seed = 1) {
  set.seed(seed)
  d <- data.frame(
    id = factor(sample(J, n, TRUE), levels = seq_len(J)), h = factor(sample(6, n, TRUE)),
    x = rnorm(n), w = runif(n, 0.5, 2), o = rnorm(n)
  )
  d$k <- factor(paste(d$id, sample(3, n, TRUE)))
  b <- t(chol(random_kernel(J) + diag(1e-8, J))) %*% matrix(rnorm(2 * J), J)
  eta <- 1 + 0.5 * d$x + b[d$id, 1] + 0.5 * b[d$id, 2] * d$x + 0.7 * rnorm(6)[d$h]
  d$y <- eta + rnorm(n)
  d$c <- rpois(n, exp(pmin(0.4 * eta, 3)))
  d$s <- rbinom(n, 1, plogis(eta))
  d$copy <- d$id
  d
}

# V relative to sigma^2 from the definition, the kernel of each factor by name.
kernel_v <- function(design, Lambda, kernels) {
  V <- diag(1 / (design$weights %||% rep(1, length(design$y))))
  for (t in seq_along(design$random)) {
    term <- design$random[[t]]
    z <- term$z %||% matrix(1, length(design$y), 1)
    group <- term$levels[term$codes]
    K <- kernels[[term$group]]
    between <- if (is.null(K)) outer(group, group, "==") else K[group, group]
    V <- V + between * (z %*% tcrossprod(Lambda[[t]]) %*% t(z))
  }
  unname(V)
}

brute_criterion <- function(design, Lambda, kernels, REML) {
  V <- kernel_v(design, Lambda, kernels)
  X <- design$X
  y <- design$y - (design$offset %||% 0)
  VX <- solve(V, X)
  beta <- solve(crossprod(X, VX), crossprod(VX, y))
  r <- y - X %*% beta
  nu <- length(y) - if (REML) ncol(X) else 0
  r2 <- sum(r * solve(V, r))
  as.numeric(determinant(V)$modulus) + nu * (1 + log(2 * pi * r2 / nu)) +
    (if (REML) as.numeric(determinant(crossprod(X, VX))$modulus) else 0)
}


lambda_at <- function(theta, random) {
  out <- list()
  for (term in random) {
    p <- length(term$columns)
    L <- matrix(0, p, p)
    cells <- which(if (term$structure == "diag") diag(p) == 1 else lower.tri(L, diag = TRUE))
    L[cells] <- theta[seq_along(cells)]
    theta <- theta[-seq_along(cells)]
    out <- c(out, list(L))
  }
  out
}

kernel_formulas <- list(
  alone = y ~ x + (1 | id), slopes = y ~ x + (x | id), double = y ~ x + (x || id),
  crossed = y ~ x + (1 | id) + (1 | h), nested = y ~ x + (1 | k) + (1 | id),
  copy = y ~ x + (1 | copy) + (1 | id), split = y ~ x + (1 | id) + (0 + x | id) + (x | h),
  two = y ~ x + (1 | id) + (1 | h) + (1 | copy)
)

test_that("the criterion and its gradient are those of the dense covariance matrix", {
  d <- kernel_data()
  K <- list(id = random_kernel(15), h = random_kernel(6, seed = 3))
  for (name in names(kernel_formulas)) {
    kernels <- if (name == "two") K else K["id"]
    for (REML in c(TRUE, FALSE)) {
      f <- kernel_formulas[[name]]
      des <- suppressWarnings(if (REML) {
        design(f, d, kernel = kernels)
      } else {
        design(f, d, weights = w, offset = o, kernel = kernels)
      })
      obj <- objective(des, REML)
      theta <- inner_theta(obj$design$random)
      value <- function(theta) brute_criterion(des, lambda_at(theta, des$random), kernels, REML)
      expect_equal(obj$value(theta), value(theta), tolerance = 1e-11, info = name)
      expect_equal(unname(obj$gradient(theta)), numDeriv::grad(obj$value, theta),
        tolerance = 1e-7, info = name
      )
      expect_equal(unname(obj$gradient(0 * theta)), 0 * theta, info = name)
    }
  }
})

test_that("estimates, effects and variances are those of generalised least squares", {
  d <- kernel_data()
  K <- random_kernel(15)
  fit <- lmm(y ~ x + (x | id) + (1 | h), d, weights = w, offset = o, kernel = list(id = K))
  expect_identical(fit$convergence$status, "converged")
  V <- kernel_v(design_of(fit), fit$Lambda, list(id = K))
  X <- fit$X
  y <- d$y - d$o
  VX <- solve(V, X)
  beta <- solve(crossprod(X, VX), crossprod(VX, y))
  expect_equal(unname(fixef(fit)), as.numeric(beta), tolerance = 1e-9)
  P <- solve(V) - VX %*% solve(crossprod(X, VX), t(VX))
  r2 <- sum(y * (P %*% y))
  expect_equal(sigma(fit)^2, r2 / (nrow(d) - 2), tolerance = 1e-9)
  expect_equal(unname(vcov(fit)), sigma(fit)^2 * unname(solve(crossprod(X, VX))), tolerance = 1e-9)
  # b = (K x Sigma) Z' V^-1 (y - X beta), intercept and slope of each level side by side
  Z <- matrix(0, nrow(d), 30)
  Z[cbind(seq_len(nrow(d)), 2 * as.integer(d$id) - 1)] <- 1
  Z[cbind(seq_len(nrow(d)), 2 * as.integer(d$id))] <- d$x
  G <- kronecker(K, tcrossprod(fit$Lambda[["id"]]))
  b <- G %*% t(Z) %*% solve(V, y - X %*% beta)
  expect_equal(as.numeric(t(as.matrix(ranef(fit)$id))), as.numeric(b), tolerance = 1e-8)
  conditional <- sigma(fit)^2 * (G - G %*% t(Z) %*% solve(V, Z %*% G))
  variances <- attr(ranef(fit)$id, "postVar")
  for (j in c(1, 7, 15)) {
    at <- 2 * j - 1:0
    expect_equal(unname(variances[, , j]), unname(conditional[at, at]), tolerance = 1e-8)
  }
  # the error of a prediction, in which beta is estimated
  A <- cbind(X, Z[, 1:30])
  se <- predict(fit, se.fit = TRUE, re.form = ~ (x | id))$se.fit
  S <- sigma(fit)^2 * (
    X %*% solve(crossprod(X, VX), t(X)) + Z %*% (G - G %*% t(Z) %*% P %*% Z %*% G) %*% t(Z) -
      2 * X %*% solve(crossprod(X, VX), t(VX)) %*% Z %*% G %*% t(Z)
  )
  expect_equal(unname(se)^2, unname(diag(S)), tolerance = 1e-8)
})

test_that("a kernel of independent levels changes nothing", {
  d <- kernel_data()
  I <- list(id = unit_kernel(levels(d$id)))
  for (name in setdiff(names(kernel_formulas), c("two", "copy"))) {
    f <- kernel_formulas[[name]]
    for (REML in c(TRUE, FALSE)) {
      plain <- quietly(lmm(f, d, REML))
      fit <- quietly(lmm(f, d, REML, kernel = I))
      expect_equal(fit$criterion, plain$criterion, tolerance = 1e-12, info = name)
      expect_equal(fit$theta, plain$theta, tolerance = 1e-8, info = name)
      expect_equal(fixef(fit), fixef(plain), tolerance = 1e-9, info = name)
      expect_equal(vcov(fit), vcov(plain), tolerance = 1e-8, info = name)
      expect_equal(ranef(fit)$id, ranef(plain)$id, tolerance = 1e-7, info = name)
      expect_equal(fit$convergence$evaluations, plain$convergence$evaluations, info = name)
    }
  }
  plain <- lmm(y ~ x + (1 | id) + (1 | h), d)
  fit <- update(plain, kernel = I)
  expect_equal(coef(summary(fit)), coef(summary(plain)), tolerance = 1e-7)
  theta <- plain$theta * 0.8
  a <- objective(design(y ~ x + (1 | id) + (1 | h), d))
  b <- objective(design(y ~ x + (1 | id) + (1 | h), d, kernel = I))
  expect_equal(b$value(theta), a$value(theta), tolerance = 1e-13)
  expect_equal(b$gradient(theta), a$gradient(theta), tolerance = 1e-11)
})

test_that("the unit of a kernel is that of its variance", {
  d <- kernel_data()
  K <- random_kernel(15)
  fit <- lmm(y ~ x + (x | id), d, kernel = list(id = K))
  for (unit in c(1e-8, 9, 1e10)) {
    other <- lmm(y ~ x + (x | id), d, kernel = list(id = unit * K))
    expect_equal(other$theta * sqrt(unit), fit$theta, tolerance = 1e-7)
    expect_equal(other$criterion, fit$criterion, tolerance = 1e-12)
    expect_equal(ranef(other)$id, ranef(fit)$id, tolerance = 1e-6)
  }
})

test_that("the order of rows, levels and samples does not matter", {
  d <- kernel_data()
  K <- random_kernel(15)
  fit <- lmm(y ~ x + (1 | id) + (1 | h), d, kernel = list(id = K))
  rows <- sample(nrow(d))
  samples <- sample(15)
  other <- lmm(y ~ x + (1 | id) + (1 | h), d[rows, ], kernel = list(id = K[samples, samples]))
  expect_equal(other$criterion, fit$criterion, tolerance = 1e-12)
  expect_equal(ranef(other)$id, ranef(fit)$id, tolerance = 1e-7)
  d$name <- paste0("s", d$id)
  dimnames(K) <- list(paste0("s", 1:15), paste0("s", 1:15))
  named <- lmm(y ~ x + (1 | name) + (1 | h), d, kernel = list(name = K))
  expect_equal(named$criterion, fit$criterion, tolerance = 1e-12)
  expect_equal(ranef(named)$name["s7", 1], ranef(fit)$id["7", 1], tolerance = 1e-7)
})

test_that("every way to give a kernel is the same model", {
  d <- kernel_data()
  K <- random_kernel(15)
  fit <- lmm(y ~ x + (1 | id), d, kernel = list(id = K))
  G <- t(chol(K))
  ways <- list(
    kernel(K), kernel(factor = G, ids = rownames(K)), kernel(precision = solve(K)),
    Matrix::Matrix(K), random_kernel(15)
  )
  for (way in ways) {
    other <- lmm(y ~ x + (1 | id), d, kernel = list(id = way))
    expect_equal(other$criterion, fit$criterion, tolerance = 1e-11)
    expect_equal(ranef(other)$id, ranef(fit)$id, tolerance = 1e-6)
  }
})

test_that("families as blocks of ones are a grouping factor", {
  d <- kernel_data()
  family <- rep(1:5, each = 3)
  d$family <- factor(family[d$id])
  K <- outer(family, family, "==") + 0
  dimnames(K) <- list(1:15, 1:15)
  for (f in list(y ~ x + (1 | id), y ~ x + (x | id))) {
    by_family <- do.call("substitute", list(f, list(id = quote(family))))
    plain <- quietly(lmm(stats::as.formula(by_family), d))
    fit <- quietly(lmm(f, d, kernel = list(id = K)))
    expect_equal(fit$criterion, plain$criterion, tolerance = 1e-11)
    expect_equal(ranef(fit)$id[d$id, 1], ranef(plain)$family[d$family, 1], tolerance = 1e-5)
    a <- objective(design(stats::as.formula(by_family), d))
    b <- objective(design(f, d, kernel = list(id = K)))
    theta <- plain$theta + 0.1
    expect_equal(b$value(theta), a$value(theta), tolerance = 1e-12)
    expect_equal(unname(b$gradient(theta)), unname(a$gradient(theta)), tolerance = 1e-10)
  }
})

test_that("singular kernels are used as they are", {
  d <- kernel_data()
  # centred, of few markers, and with two names for one sample
  M <- scale(matrix(rbinom(15 * 8, 2, 0.4), 15), scale = FALSE)
  M[15, ] <- M[14, ]
  K <- tcrossprod(M) / 8
  dimnames(K) <- list(1:15, 1:15)
  for (f in kernel_formulas[c("alone", "slopes", "crossed")]) {
    fit <- quietly(lmm(f, d, kernel = list(id = K)))
    expect_identical(fit$convergence$status, "converged")
    expect_equal(fit$criterion, brute_criterion(design_of(fit), fit$Lambda, list(id = K), TRUE),
      tolerance = 1e-9
    )
    b <- as.matrix(ranef(fit)$id)
    expect_equal(b[14, ], b[15, ], tolerance = 1e-7)
  }
})

test_that("the optimum is that of the rotated model", {
  d <- kernel_data()
  K <- random_kernel(15)
  fit <- lmm(y ~ x + (1 | id), d, kernel = list(id = K))
  s <- eigen(K[d$id, d$id], symmetric = TRUE)
  S <- pmax(s$values, 0)
  rotated <- crossprod(s$vectors, cbind(1, d$x, d$y))
  value <- function(log_ratio) {
    v <- exp(log_ratio) * S + 1
    X <- rotated[, 1:2]
    H <- crossprod(X, X / v)
    beta <- solve(H, crossprod(X, rotated[, 3] / v))
    r2 <- sum((rotated[, 3] - X %*% beta)^2 / v)
    sum(log(v)) + as.numeric(determinant(H)$modulus) + 148 * (1 + log(2 * pi * r2 / 148))
  }
  best <- optimize(value, c(-8, 8), tol = 1e-10)
  expect_equal(fit$criterion, best$objective, tolerance = 1e-10)
  expect_equal(unname(fit$theta)^2, exp(best$minimum), tolerance = 1e-4)
})

test_that("one row a level is enough", {
  set.seed(5)
  K <- random_kernel(40, 30)
  d <- data.frame(id = 1:40, x = rnorm(40))
  d$y <- d$x + as.numeric(t(chol(K + diag(1e-8, 40))) %*% rnorm(40)) + 0.3 * rnorm(40)
  fit <- lmm(y ~ x + (1 | id), d, kernel = list(id = K))
  expect_identical(fit$convergence$status, "converged")
  expect_equal(fit$criterion, brute_criterion(design_of(fit), fit$Lambda, list(id = K), TRUE),
    tolerance = 1e-9
  )
})

# Generalised models -----------------------------------------------------------------------------

# Z Lambda of all terms with the roots of the kernels in it.
kernel_columns <- function(design, Lambda, kernels) {
  n <- length(design$y)
  do.call(cbind, Map(function(term, L) {
    z <- term$z %||% matrix(1, n, 1)
    group <- term$levels[term$codes]
    K <- kernels[[term$group]]
    C <- if (is.null(K)) diag(length(term$levels)) else {
      s <- eigen(K[term$levels, term$levels], symmetric = TRUE)
      s$vectors %*% diag(sqrt(pmax(s$values, 0)))
    }
    zl <- z %*% L
    do.call(cbind, lapply(seq_len(ncol(zl)), function(k) zl[, k] * C[term$codes, ]))
  }, design$random, Lambda))
}

test_that("the Laplace approximation is that of the definition, with its gradient", {
  d <- kernel_data(n = 100)
  K <- random_kernel(15)
  for (name in c("alone", "slopes", "crossed", "split", "two")) {
    kernels <- list(id = K, h = random_kernel(6, seed = 3))
    if (name != "two") kernels$h <- NULL
    f <- stats::update(kernel_formulas[[name]], c ~ .)
    des <- suppressWarnings(design(f, d, family = poisson(), kernel = kernels))
    for (integral in c("laplace", "joint", "reml")) {
      obj <- if (integral == "joint") objective(des, nAGQ = 0) else
        objective(des, integral == "reml")
      theta <- 0.4 * inner_theta(des$random)
      par <- c(theta, if (integral == "laplace") c(0.8, 0.3))
      density <- oracle_density("poisson", "log", list(y = d$c))
      ZL <- kernel_columns(des, lambda_at(theta, des$random), kernels)
      value <- oracle_laplace(density, des$X, c(0.8, 0.3), ZL, integral = integral)
      expect_equal(obj$value(par), as.numeric(value), tolerance = 1e-10, info = name)
      expect_equal(unname(obj$gradient(par)), numDeriv::grad(obj$value, par),
        tolerance = 1e-6, info = name
      )
    }
  }
})

test_that("a kernel of independent levels changes nothing in a generalised model", {
  d <- kernel_data()
  I <- list(id = unit_kernel(levels(d$id)))
  for (method in c("laplace", "ep", "pql")) {
    for (f in list(s ~ x + (1 | id), s ~ x + (x | id) + (1 | h))) {
      plain <- quietly(glmm(f, d, binomial, method = method))
      fit <- quietly(glmm(f, d, binomial, method = method, kernel = I))
      expect_equal(fit$criterion, plain$criterion, tolerance = 1e-10, info = method)
      expect_equal(fit$theta, plain$theta, tolerance = 1e-5, info = method)
      expect_equal(fixef(fit), fixef(plain), tolerance = 1e-6, info = method)
      expect_equal(vcov(fit), vcov(plain), tolerance = 1e-5, info = method)
      expect_equal(ranef(fit)$id, ranef(plain)$id, tolerance = 1e-5, info = method)
    }
  }
})

test_that("generalised models fit with singular kernels, in any unit", {
  d <- kernel_data()
  K <- random_kernel(15, rank = 6)
  fit <- quietly(glmm(c ~ x + (x | id) + (1 | h), d, poisson, kernel = list(id = K)))
  expect_identical(fit$convergence$status, "converged")
  density <- oracle_density("poisson", "log", list(y = d$c))
  ZL <- kernel_columns(design_of(fit), fit$Lambda, list(id = K))
  value <- oracle_laplace(density, fit$X, fixef(fit), ZL)
  expect_equal(fit$criterion, as.numeric(value), tolerance = 1e-9)
  other <- quietly(glmm(c ~ x + (x | id) + (1 | h), d, poisson, kernel = list(id = 1e6 * K)))
  expect_equal(other$criterion, fit$criterion, tolerance = 1e-9)
  expect_equal(other$Lambda$id * 1e3, fit$Lambda$id, tolerance = 1e-4)
  expect_equal(ranef(other)$id, ranef(fit)$id, tolerance = 1e-4)
})

test_that("blocks of ones are a grouping factor by expectation propagation too", {
  d <- kernel_data()
  family <- rep(1:5, each = 3)
  d$family <- factor(family[d$id])
  K <- outer(family, family, "==") + 0
  dimnames(K) <- list(1:15, 1:15)
  for (method in c("laplace", "ep")) {
    plain <- quietly(glmm(s ~ x + (1 | family), d, binomial, method = method))
    fit <- quietly(glmm(s ~ x + (1 | id), d, binomial, method = method, kernel = list(id = K)))
    expect_equal(fit$criterion, plain$criterion, tolerance = 1e-9)
    expect_equal(unname(fit$theta), unname(plain$theta), tolerance = 1e-5)
  }
})

test_that("quadrature with a kernel is refused", {
  d <- kernel_data()
  K <- list(id = random_kernel(15))
  expect_error(glmm(s ~ x + (1 | id), d, binomial, nAGQ = 5, kernel = K),
    class = "partialpool_error_kernel"
  )
})

# What can be asked of a fit ---------------------------------------------------------------------

test_that("levels that only the kernel knows are predicted from their relatives", {
  d <- kernel_data()
  full <- random_kernel(18, 30)
  reduced <- full[1:15, 1:15]
  few <- random_kernel(18, 6)
  forms <- list(
    list(K = full, kernel = full), list(K = full, kernel = kernel(full)),
    list(K = full, kernel = kernel(precision = solve(full))), list(K = few, kernel = few),
    list(K = few, kernel = kernel(few))
  )
  new <- data.frame(id = c("16", "3", "18"), x = c(0.2, -1, 1), h = "2")
  for (form in forms) {
    K <- form$K
    fit <- quietly(lmm(y ~ x + (x | id) + (1 | h), d, kernel = list(id = form$kernel)))
    V <- kernel_v(design_of(fit), fit$Lambda, list(id = K))
    X <- fit$X
    VX <- solve(V, X)
    H <- solve(crossprod(X, VX))
    beta <- H %*% crossprod(VX, d$y)
    A <- cbind(1, new$x)
    group <- as.character(d$id)
    S <- tcrossprod(fit$Lambda$id)
    cross <- K[new$id, group] * (A %*% S %*% t(X)) +
      fit$Lambda$h[1]^2 * outer(new$h, as.character(d$h), "==")
    own <- diag(K[new$id, new$id]) * rowSums((A %*% S) * A) + fit$Lambda$h[1]^2
    expected <- A %*% beta + cross %*% solve(V, d$y - X %*% beta)
    left <- A - cross %*% VX
    variance <- own - rowSums(cross * t(solve(V, t(cross)))) + rowSums((left %*% H) * left)
    got <- predict(fit, new, se.fit = TRUE)
    expect_equal(unname(got$fit), as.numeric(expected), tolerance = 1e-7)
    expect_equal(unname(got$se.fit)^2, sigma(fit)^2 * as.numeric(variance), tolerance = 1e-7)
    expect_equal(predict(fit, new), got$fit)
  }
  expect_error(predict(fit, data.frame(id = "99", x = 0, h = "2")),
    class = "partialpool_error_newdata"
  )
  stranger <- predict(fit, data.frame(id = c("99", "16"), x = 0, h = "2"), allow.new.levels = TRUE)
  expect_equal(stranger[[1]], predict(fit, data.frame(id = "3", x = 0, h = "2"), ~ (1 | h))[[1]])

  g <- quietly(glmm(c ~ x + (1 | id), d, poisson, kernel = list(id = full)))
  got <- predict(g, new, se.fit = TRUE)
  C <- full[c("16", "18"), 1:15] %*% solve(reduced)
  expect_equal(unname(got$fit[c(1, 3)]),
    as.numeric(cbind(1, new$x[c(1, 3)]) %*% fixef(g) + C %*% ranef(g)$id[, 1]), tolerance = 1e-7
  )
  expect_true(all(got$se.fit[c(1, 3)] > got$se.fit[2]))
})

test_that("components, fitted values and effects agree", {
  d <- kernel_data()
  K <- random_kernel(15, rank = 9)
  fit <- quietly(lmm(y ~ x + (x | id) + (1 | h), d, weights = w, kernel = list(id = K)))
  parts <- components(fit)
  expect_equal(as.vector(parts$Lambda %*% parts$u), parts$b, tolerance = 1e-7)
  expect_equal(as.vector(parts$X %*% parts$beta + parts$Z %*% parts$b), unname(fitted(fit)))
  G <- as.matrix(Matrix::tcrossprod(parts$Lambda))
  at <- unlist(lapply(fit$random, function(term) {
    rep(term$group == "id", length(term$columns) * length(term$levels))
  }))
  expect_equal(unname(G[at, at]), kronecker(unname(K), tcrossprod(unname(fit$Lambda$id))),
    tolerance = 1e-10
  )
  expect_equal(dim(parts$L), rep(ncol(parts$Lambda), 2))

  g <- quietly(glmm(c ~ x + (x | id), d, poisson, kernel = list(id = K)))
  parts <- components(g)
  expect_equal(as.vector(parts$Lambda %*% parts$u), parts$b, tolerance = 1e-7)
  expect_equal(as.vector(parts$X %*% parts$beta + parts$Z %*% parts$b), unname(parts$eta))
})

test_that("simulated effects have the covariance of the kernel", {
  d <- data.frame(id = factor(1:4), x = c(-1, 1, 0.5, 2))[rep(1:4, 8), ]
  K <- random_kernel(5)
  set.seed(2)
  d$y <- rnorm(32)
  fit <- quietly(lmm(y ~ 1 + (1 | id), d, kernel = list(id = K)))
  fit$Lambda$id[] <- 2
  fit$sigma <- 0.01
  draws <- as.matrix(simulate(fit, 4000, seed = 1)[1:4, ])
  expect_equal(stats::cov(t(draws)) / 4e-4, 1 * unname(K[1:4, 1:4]) + diag(0.25, 4),
    tolerance = 0.1, ignore_attr = TRUE
  )
  new <- data.frame(id = c("2", "5", "5"))
  draws <- as.matrix(simulate(fit, 4000, seed = 1, newdata = new))
  at <- c(2, 5, 5)
  expect_equal(stats::cov(t(draws)) / 4e-4, unname(K[at, at]) + diag(0.25, 3),
    tolerance = 0.1, ignore_attr = TRUE
  )
  expect_error(simulate(fit, newdata = data.frame(id = "7")), class = "partialpool_error_kernel")
})

test_that("refit, update, anova and the printed page know of the kernel", {
  d <- kernel_data()
  K <- random_kernel(15)
  fit <- lmm(y ~ x + (1 | id) + (1 | h), d, kernel = list(id = K))
  again <- refit(fit, d$y + 1)
  expect_equal(again$theta, fit$theta, tolerance = 1e-6)
  expect_equal(ranef(again)$id, ranef(fit)$id, tolerance = 1e-6)
  less <- update(fit, . ~ . - (1 | h))
  expect_equal(less$criterion, lmm(y ~ x + (1 | id), d, kernel = list(id = K))$criterion)
  expect_equal(nrow(anova(fit, less)), 2L)
  expect_output(print(fit), "id (kernel)", fixed = TRUE)
  expect_output(print(summary(fit)), "id (kernel)", fixed = TRUE)
  expect_output(print(design(y ~ x + (1 | id), d, kernel = list(id = K))), "with a kernel")
  expect_named(VarCorr(fit), c("id", "h"))
  expect_equal(nrow(as.data.frame(ranef(fit))), 21L)
  expect_equal(ranef(unserialize(serialize(fit, NULL))), ranef(fit))
  expect_silent(suppressWarnings(confint(fit)))
})

test_that("kernels that do not fit the data are refused by name", {
  d <- kernel_data()
  K <- random_kernel(15)
  fails <- function(kernel, text, f = y ~ x + (1 | id)) {
    expect_error(lmm(f, d, kernel = kernel), text, class = "partialpool_error_kernel")
  }
  fails(K, "must be a list")
  fails(list(K), "must be a list")
  fails(list(family = K), "no grouping factor")
  fails(list(id = K), "no grouping factor", y ~ x + (1 | h))
  fails(list(id = K, id = K), "two elements")
  fails(list(id = K[-3, -3]), "has no \"3\"")
  fails(list(id = unname(K)), "no names")
  fails(list(id = K[, -1]), "square")
  fails(list(id = "K"), "kernel\\$id")
  negative <- K
  negative[1, 1] <- -1
  fails(list(id = negative), "positive semi-definite")
  K[2, 3] <- NA
  fails(list(id = K), "missing")
})
