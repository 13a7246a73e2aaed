# lme4's fit at our theta. It evaluates the criterion there and does nothing else.
lmer_at <- function(formula, data, fit) {
  theta <- unname(lme4::getME(fit, "theta"))
  suppressWarnings(suppressMessages(lme4::lmer(formula, data,
    start = theta, REML = fit$REML,
    control = lme4::lmerControl(optimizer = NULL, calc.derivs = FALSE)
  )))
}

# Everything but the attribute by which lme4 remembers a message about X.
pieces_of <- function(object, names) {
  pieces <- sapply(names, function(name) lme4::getME(object, name), simplify = FALSE)
  if ("X" %in% names) attr(pieces$X, "msgScaleX") <- NULL
  pieces
}

# The order in which the factor takes the columns is free: what does not depend on it is compared.
expect_same_pieces <- function(ours, theirs, names) {
  names <- setdiff(names, c("L", "RZX"))
  expect_equal(pieces_of(ours, names), pieces_of(theirs, names), tolerance = 1e-6)
  factors <- lapply(list(ours, theirs), function(object) {
    L <- lme4::getME(object, "L")
    RZX <- lme4::getME(object, "RZX")
    y <- seq_len(nrow(RZX))
    list(class(L), as.numeric(Matrix::solve(L, y)), dim(RZX), crossprod(RZX))
  })
  expect_equal(factors[[1L]], factors[[2L]], tolerance = 1e-6)
}

test_that("getME() gives the pieces that lme4 gives", {
  skip_if_not_installed("lme4")
  oats <- transform(as.data.frame(nlme::Oats), Block = factor(as.character(Block)))
  cases <- list(
    list(Reaction ~ Days + (Days | Subject), sleepstudy),
    list(Reaction ~ Days + (Days || Subject), sleepstudy),
    list(strength ~ 1 + (1 | batch) + (1 | sample), lme4::Pastes), # lme4 sorts the terms
    list(strength ~ 1 + (1 | batch / cask), lme4::Pastes),
    list(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin),
    list(yield ~ Variety * nitro + (0 + Variety | Block), oats)
  )
  names <- setdiff(getME_names, c("devfun", "par"))
  for (case in cases) {
    for (REML in c(TRUE, FALSE)) {
      fit <- suppressMessages(lmm(case[[1L]], case[[2L]], REML = REML))
      m <- lmer_at(case[[1L]], case[[2L]], fit)
      expect_same_pieces(fit, m, names)
      theta <- 1.1 * unname(fit$theta)
      expect_equal(lme4::getME(fit, "devfun")(theta), lme4::getME(m, "devfun")(theta))
    }
  }
})

test_that("the columns of a || are terms of their own, in lme4's order", {
  skip_if_not_installed("lme4")
  data <- transform(sleepstudy, part = interaction(Days, as.integer(Subject) %% 3))
  f <- Reaction ~ Days + (Days || Subject) + (1 | part)
  fit <- lmm(f, data)
  m <- lmer_at(f, data, fit)
  # lme4's model matrices (mmList) stand in another order there than its terms, and the sizes
  # (q_i) are wrong with them.
  names <- setdiff(getME_names, c("devfun", "par", "mmList", "p_i", "q_i", "m_i"))
  expect_same_pieces(fit, m, names)
  expect_identical(unname(lme4::getME(fit, "q_i")), c(30L, 18L, 18L))
  expect_identical(lapply(lme4::getME(fit, "mmList"), colnames),
    stats::setNames(unname(lme4::getME(fit, "cnms")), names(lme4::getME(fit, "mmList")))
  )
})

test_that("getME() of weights, offsets and missing rows is lme4's", {
  skip_if_not_installed("lme4")
  data <- transform(sleepstudy, w = 1 + Days)
  data$Reaction[3L] <- NA
  f <- Reaction ~ Days + offset(2 * Days) + (Days | Subject)
  fit <- lmm(f, data, weights = w)
  m <- suppressMessages(lme4::lmer(f, data,
    weights = w, start = unname(fit$theta),
    control = lme4::lmerControl(optimizer = NULL, calc.derivs = FALSE)
  ))
  names <- setdiff(getME_names, c("devfun", "par"))
  expect_same_pieces(fit, m, names)
})

test_that("getME() of a generalised model is lme4's", {
  skip_if_not_installed("lme4")
  f <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  fit <- glmm(f, cbpp, binomial)
  start <- list(theta = unname(fit$theta), fixef = unname(coef(fit)))
  m <- suppressWarnings(lme4::glmer(f, lme4::cbpp, binomial,
    start = start, control = lme4::glmerControl(
      optimizer = "nloptwrap", optCtrl = list(maxeval = 1), calc.derivs = FALSE, tolPwrss = 1e-12,
      nAGQ0initStep = FALSE
    )
  ))
  names <- setdiff(getME_names, c("devfun", "par", "devcomp"))
  expect_same_pieces(fit, m, names)
  ours <- lme4::getME(fit, "devcomp")
  theirs <- lme4::getME(m, "devcomp")
  kept <- setdiff(names(theirs$cmp), "tolPwrss")
  expect_equal(ours$cmp[kept], theirs$cmp[kept], tolerance = 1e-6)
  expect_identical(ours$dims[names(theirs$dims)], theirs$dims)
})

# The identities that code relies on, whatever the structure.
expect_consistent <- function(fit) {
  pieces <- lme4::getME(fit, "ALL")
  expect_equal(pieces$Lambdat@x, unname(pieces$theta)[pieces$Lind])
  expect_equal(as.numeric(pieces$Lambda %*% pieces$u), as.numeric(pieces$b))
  eta <- as.numeric(pieces$X %*% pieces$beta + pieces$Z %*% pieces$b) + pieces$offset
  general <- inherits(fit, "pp_glmm")
  expect_equal(unname(pieces$mu), if (general) fit$family$linkinv(eta) else eta)
  par <- c(pieces$par, if (general) pieces$beta)
  expect_equal(pieces$devfun(par), fit$criterion)
  expect_identical(lme4::isSingular(fit), is_singular(fit))
  covariance <- unname(sigma(fit)^2 * tcrossprod(pieces$Tlist[[1L]]))
  if (length(pieces$Tlist) == 1L && !general) {
    expect_equal(covariance, unname(VarCorr(fit)[[1L]]), ignore_attr = TRUE)
  }
}

test_that("other structures and families have consistent pieces", {
  skip_if_not_installed("lme4")
  expect_consistent(lmm(Reaction ~ Days + cs(Days | Subject), sleepstudy))
  expect_consistent(lmm(Reaction ~ Days + ar1(0 + factor(Days) | Subject), sleepstudy))
  expect_consistent(lmm(Reaction ~ Days + homdiag(Days | Subject), sleepstudy))
  expect_consistent(lmm(Reaction ~ 0 + (Days | Subject), sleepstudy))
  flat <- transform(sleepstudy, Reaction = 200 + (seq_along(Days) * 7919) %% 101)
  expect_consistent(suppressMessages(lmm(Reaction ~ Days + (1 | Subject), flat)))
  expect_consistent(glmm(incidence ~ period + (1 | herd), cbpp, nbinom2()))
  gamma <- glmm(Reaction ~ Days + (1 | Subject), sleepstudy, Gamma("log"))
  expect_consistent(gamma)
  # lme4's factors are relative to sigma in a family that has one.
  expect_equal(sigma(gamma) * lme4::getME(gamma, "theta"), gamma$theta, ignore_attr = TRUE)
})

test_that("getME() says what a fit has not", {
  skip_if_not_installed("lme4")
  fit <- suppressMessages(lmm(Reaction ~ Days, sleepstudy))
  expect_identical(lme4::getME(fit, "q"), 0L)
  expect_length(lme4::getME(fit, "theta"), 0L)
  expect_null(lme4::getME(fit, "L"))
  expect_named(lme4::getME(fit, c("n", "p")), c("n", "p"))
  expect_error(lme4::getME(fit, "nonsense"), class = "partialpool_error_argument")
  expect_error(lme4::getME(fit), class = "partialpool_error_argument")
  nb <- glmm(incidence ~ period + (1 | herd), cbpp, nbinom2())
  expect_equal(lme4::getME(nb, "glmer.nb.theta"), sigma(nb))
  pql <- glmm(incidence ~ period + (1 | herd), cbpp, poisson, method = "pql")
  expect_error(lme4::getME(pql, "devfun"), class = "partialpool_error_argument")
  K <- exp(-as.matrix(dist(1:18)) / 5)
  dimnames(K) <- rep(list(levels(sleepstudy$Subject)), 2L)
  related <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, kernel = list(Subject = K))
  expect_error(lme4::getME(related, "Lind"), class = "partialpool_error_argument")
  expect_equal(
    as.numeric(lme4::getME(related, "Lambda") %*% lme4::getME(related, "u")),
    ranef(related)$Subject[[1L]]
  )
  kernel <- suppressMessages(kernel_lmm(sin(1:18), cbind(x = 1:18), K))
  expect_identical(lme4::getME(kernel, "fixef"), coef(kernel))
  expect_error(lme4::getME(kernel, "theta"), class = "partialpool_error_argument")
})
