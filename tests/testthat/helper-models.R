# Small models that between them use every structure, storage and kind of weight.

small_data <- function(seed = 1, n = 240) {
  set.seed(seed)
  d <- data.frame(
    g = factor(sample(12, n, TRUE)), h = factor(sample(8, n, TRUE)),
    t = factor(sample(4, n, TRUE)), x = rnorm(n), z = rnorm(n), w = runif(n, 0.5, 2),
    o = rnorm(n)
  )
  d$k <- factor(paste(d$g, sample(3, n, TRUE)))
  b <- matrix(rnorm(12 * 2), 12) %*% chol(matrix(c(1, 0.3, 0.3, 0.5), 2))
  tt <- matrix(rnorm(12 * 4, sd = 0.8), 12) + rnorm(12)
  d$y <- 1 + 0.5 * d$x + b[d$g, 1] + b[d$g, 2] * d$x + rnorm(8)[d$h] * 0.7 +
    tt[cbind(as.integer(d$g), as.integer(d$t))] + rnorm(n)
  d
}

structured_formulas <- list(
  intercept = y ~ x + (1 | g),
  us = y ~ x + (x | g),
  us3 = y ~ x + (x + z | g),
  crossed = y ~ x + (x | g) + (1 | h),
  nested = y ~ x + (1 | g) + (1 | k),
  nested_slopes = y ~ x + (x | g) + (x | k),
  three = y ~ x + (x | k) + (z | g) + (1 | h),
  amalgamated = y ~ x + (1 | g) + (0 + x | g) + (1 | h),
  diag = y ~ x + (x + z || g),
  diag_hom = y ~ x + diag(x + z | g, hom = TRUE),
  cs = y ~ x + cs(0 + t | g),
  cs_hom = y ~ x + cs(0 + t | g, hom = TRUE),
  ar1 = y ~ x + ar1(0 + t | g),
  ar1_het = y ~ x + ar1(0 + t | g, hom = FALSE) + (1 | h)
)

# A point inside the parameter space, not an optimum.
inner_theta <- function(random) {
  unlist(lapply(random, function(term) {
    roles <- theta_roles(list(term))
    values <- c(s = 0.8, c = 0.2, r = 0.3)[roles]
    unname(values * seq(1, 1.3, length.out = length(values)))
  }))
}

# Dense V relative to sigma^2, from the definition.
dense_v <- function(design, Lambda) {
  n <- length(design$y)
  w <- if (is.null(design$weights)) rep(1, n) else design$weights
  V <- diag(1 / w, n)
  for (t in seq_along(design$random)) {
    term <- design$random[[t]]
    z <- if (is.null(term$z)) matrix(1, n, 1) else term$z
    same <- outer(term$codes, term$codes, "==")
    V <- V + same * (z %*% tcrossprod(Lambda[[t]]) %*% t(z))
  }
  V
}

dense_criterion <- function(design, Lambda, REML) {
  V <- dense_v(design, Lambda)
  n <- nrow(V)
  X <- design$X
  y <- design$y - if (is.null(design$offset)) 0 else design$offset
  Vi <- solve(V)
  XVX <- crossprod(X, Vi %*% X)
  beta <- solve(XVX, crossprod(X, Vi %*% y))
  r2 <- sum((y - X %*% beta) * (Vi %*% (y - X %*% beta)))
  nu <- n - if (REML) ncol(X) else 0
  log_det <- function(m) as.numeric(determinant(m)$modulus)
  log_det(V) + nu * (1 + log(2 * pi * r2 / nu)) + if (REML) log_det(XVX) else 0
}

quietly <- function(code) suppressMessages(code, classes = "partialpool_message")

# The probe set of the reference material: 600 rows, 12 groups, a 3-level factor B.
probe <- function() {
  p <- utils::read.csv(test_path("fixtures", "A_probe.csv"))
  p$A <- factor(p$A)
  p$B <- factor(p$B)
  p$g <- factor(p$g)
  p
}

finn_formula <- measured_variable ~ categorical_factor_A + categorical_factor_B +
  continous_factor_A + categorical_factor_A:continous_factor_A + (1 | random_effect_A) +
  (1 | random_effect_A:nested_random_effect_A)

finn_factors <- function() {
  d <- finn_demo
  for (name in setdiff(names(d), c("measured_variable", "continous_factor_A"))) {
    d[[name]] <- factor(d[[name]])
  }
  d
}

# The maximal model of ALGORITHMS 12: 56 subjects x 32 items, two 4 x 4 covariances of rank 2.
kb_data <- function() {
  suppressWarnings(RNGversion("3.6.0"))
  set.seed(7)
  d <- expand.grid(subj = 1:56, item = 1:32)
  c <- (d$subj + d$item) %% 8
  d$spkr <- ifelse(c %% 2 == 0, 1, -1)
  d$prec <- ifelse((c %/% 2) %% 2 == 0, 1, -1)
  d$load <- ifelse(c < 4, 1, -1)
  lower <- function(...) {
    m <- matrix(0, 4, 4)
    m[lower.tri(m, TRUE)] <- c(...)
    m
  }
  ls <- lower(300, 80, -60, 50, 60, 20, 10, 70, 10, 40)
  li <- lower(360, 20, -150, 20, 40, 10, 10, 180, 10, 30)
  bs <- matrix(rnorm(56 * 4), 56) %*% t(ls)
  bi <- matrix(rnorm(32 * 4), 32) %*% t(li)
  z <- cbind(1, d$spkr, d$prec, d$load)
  d$rt <- 2200 + 70 * d$spkr - 330 * d$prec + 80 * d$load + rowSums(z * bs[d$subj, ]) +
    rowSums(z * bi[d$item, ]) + rnorm(nrow(d), 0, 680)
  d$subj <- factor(d$subj)
  d$item <- factor(d$item)
  d
}
