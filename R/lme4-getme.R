# lme4's getME() on our fits: the pieces of a model under lme4's names, with its order of terms, its
# spherical effects and its relative factors, so that code that takes a fit of lme4 apart runs.

getME_names <- c(
  "X", "Z", "Zt", "Ztlist", "mmList", "y", "mu", "u", "b", "Gp", "Tp", "L", "Lambda", "Lambdat",
  "Lind", "Tlist", "A", "RX", "RZX", "sigma", "flist", "fixef", "beta", "theta", "ST", "par",
  "REML", "is_REML", "n_rtrms", "n_rfacs", "N", "n", "p", "q", "p_i", "l_i", "q_i", "k", "m_i", "m",
  "cnms", "devcomp", "offset", "lower", "devfun", "glmer.nb.theta"
)

getME.pp_fit <- function(object, name, ...) {
  name <- check_getME_name(if (missing(name)) NULL else name)
  if (identical(name, "ALL")) {
    pql <- identical(object$method, "pql")
    name <- setdiff(getME_names, c(if (any_kernel(object)) "Lind", if (pql) "devfun"))
  } else if (length(name) == 1L) {
    return(getME_value(object, name, lme4_terms(object)))
  }
  terms <- lme4_terms(object)
  sapply(name, function(one) getME_value(object, one, terms), simplify = FALSE)
}

getME.pp_kernel_fit <- function(object, name, ...) {
  name <- check_getME_name(if (missing(name)) NULL else name)
  if (length(name) > 1L) {
    return(sapply(name, function(one) getME.pp_kernel_fit(object, one), simplify = FALSE))
  }
  switch(name,
    X = stats::model.matrix(object), y = object$y, fixef = object$coefficients,
    beta = unname(object$coefficients), sigma = stats::sigma(object), n = , N = stats::nobs(object),
    p = length(object$coefficients), is_REML = isTRUE(object$REML),
    pp_abort("argument", c(
      x = "A kernel model has no {.val {name}}: its random part is a kernel, not a sum of terms.",
      ">" = "It has {.fn VarCorr} and {.fn latent}; {.fn lmm} with {.arg kernel} fits terms."
    ))
  )
}

check_getME_name <- function(name) {
  known <- c(getME_names, "ALL")
  if (is.null(name) || !length(name)) {
    pp_abort("argument", c(
      x = "{.arg name} is missing.", i = "It can be {.or {.val {known}}}."
    ))
  }
  if (length(name) > 1L) {
    return(vapply(as.character(name), choose_option, "", known, "name"))
  }
  if (name %in% known) name else choose_option(name, known, "name")
}

# `terms`: as lme4_terms() gives them.
getME_value <- function(fit, name, terms) {
  columns <- lapply(terms, function(term) term$columns)
  groups <- vapply(terms, function(term) term$group, "")
  names(columns) <- groups
  sizes <- vapply(terms, function(term) length(term$levels) * length(term$columns), 0L)
  labels <- vapply(terms, function(term) term$label, "")
  p_i <- stats::setNames(lengths(columns, use.names = FALSE), labels)
  l_i <- stats::setNames(vapply(terms, function(term) length(term$levels), 0L), groups)
  theta_sizes <- vapply(columns, function(x) length(x) * (length(x) + 1) / 2, 0)
  switch(name,
    X = fit$X, y = fit$y, beta = unname(fit$coefficients), fixef = fit$coefficients,
    sigma = stats::sigma(fit), is_REML = fit$REML, REML = if (fit$REML) ncol(fit$X) else 0L,
    offset = if (is.null(fit$offset)) numeric(fit$n) else fit$offset,
    n = , N = as.integer(fit$n), p = ncol(fit$X), q = sum(sizes), k = , n_rtrms = length(terms),
    n_rfacs = length(unique(groups)), cnms = columns, flist = grouping_list(terms),
    Gp = as.integer(c(0L, cumsum(sizes))), Tp = c(beg__ = 0, cumsum(theta_sizes)),
    p_i = p_i, l_i = l_i[!duplicated(groups)],
    q_i = stats::setNames(sizes, labels), m_i = stats::setNames(choose(p_i + 1, 2), labels),
    mmList = stats::setNames(lapply(terms, lhs_matrix, fit), labels),
    Z = Matrix::t(lme4_Zt(fit, terms)), Zt = lme4_Zt(fit, terms), Ztlist = split_Zt(fit, terms),
    theta = relative_theta(terms), lower = theta_bounds(terms), m = length(relative_theta(terms)),
    par = lme4_parameters(fit, terms), Tlist = stats::setNames(lapply(terms, plain_factor), groups),
    ST = stats::setNames(lapply(terms, unit_factor), groups), Lind = theta_index(fit, terms),
    Lambda = Matrix::t(relative_Lambdat(terms)), Lambdat = relative_Lambdat(terms),
    b = matrix_of_effects(terms), u = spherical_vector(terms), mu = lme4_mean(fit),
    A = , L = , RX = , RZX = , devcomp = penalised_pieces(fit, terms, name),
    devfun = lme4_devfun(fit, terms), glmer.nb.theta = negative_binomial_theta(fit)
  )
}

grouping_list <- function(terms) {
  groups <- vapply(terms, function(term) term$group, "")
  first <- terms[!duplicated(groups)]
  factors <- lapply(first, function(term) {
    structure(term$codes, levels = term$levels, class = "factor")
  })
  structure(stats::setNames(factors, unique(groups)), assign = match(groups, unique(groups)))
}

# The model matrix on the left of the bar.
lhs_matrix <- function(term, fit) {
  z <- term_matrix(term, fit$n)
  dimnames(z) <- list(row.names(fit$frame), term$columns)
  if (is.null(term$assign)) {
    return(structure(z, assign = 0L))
  }
  structure(z, assign = term$assign, contrasts = term$contrasts)
}

lme4_Zt <- function(fit, terms) {
  blocks <- lapply(terms, function(term) {
    p <- length(term$columns)
    z <- t(term_matrix(term, fit$n))
    kept <- which(z != 0)
    Matrix::sparseMatrix(
      i = (rep((term$codes - 1L) * p, each = p) + rep(seq_len(p), fit$n))[kept],
      j = rep(seq_len(fit$n), each = p)[kept], x = z[kept],
      dims = c(p * length(term$levels), fit$n),
      dimnames = list(rep(term$levels, each = p), row.names(fit$frame))
    )
  })
  if (!length(blocks)) {
    return(Matrix::sparseMatrix(i = integer(), j = integer(), x = numeric(), dims = c(0L, fit$n)))
  }
  do.call(rbind, blocks)
}

# The rows of each column of each term.
split_Zt <- function(fit, terms) {
  parts <- lapply(terms, function(term) {
    p <- length(term$columns)
    Zt <- lme4_Zt(fit, list(term))
    rows <- lapply(seq_len(p), seq, to = nrow(Zt), by = p)
    stats::setNames(
      lapply(rows, function(i) Zt[i, , drop = FALSE]), paste(term$group, term$columns, sep = ".")
    )
  })
  do.call(c, parts)
}

lme4_mean <- function(fit) {
  eta <- fitted_values(fit)
  if (inherits(fit, "pp_glmm")) fitted_parameters(fit, eta)$mu else eta
}

# The cross-products of the penalised least-squares problem at the estimates, one of them.
penalised_pieces <- function(fit, terms, name) {
  A <- relative_Lambdat(terms) %*% lme4_Zt(fit, terms)
  if (name == "A") {
    return(A)
  }
  w <- least_squares_weights(fit)
  L <- factor_of(A, w)
  if (name == "L") {
    return(L)
  }
  p <- ncol(fit$X)
  RZX <- matrix(0, nrow(A), p, dimnames = list(NULL, colnames(fit$X)))
  if (!is.null(L)) {
    right <- as.matrix(A %*% (w * fit$X))
    RZX[] <- as.matrix(Matrix::solve(L, Matrix::solve(L, right, system = "P"), system = "L"))
  }
  if (name == "RZX") {
    return(RZX)
  }
  RX <- if (p > 0L) chol(crossprod(sqrt(w) * fit$X) - crossprod(RZX)) else matrix(0, 0L, 0L)
  dimnames(RX) <- list(colnames(fit$X), colnames(fit$X))
  if (name == "RX") RX else deviance_components(fit, terms, w, L, RX)
}

# Of A W A' + I.
factor_of <- function(A, w) {
  if (nrow(A) == 0L) {
    return(NULL)
  }
  A@x <- A@x * sqrt(w)[rep(seq_along(w), diff(A@p))]
  Matrix::Cholesky(Matrix::tcrossprod(A), LDL = FALSE, Imult = 1)
}

# Those in which a fit looks like a linear model with residuals of unit variance, sigma^2 apart.
least_squares_weights <- function(fit) {
  if (!inherits(fit, "pp_glmm")) {
    return(if (is.null(fit$weights)) rep(1, fit$n) else fit$weights)
  }
  working_weights(fit) * factor_scale(fit)^2 / residual_scale(fit)^2
}

deviance_components <- function(fit, terms, w, L, RX) {
  general <- inherits(fit, "pp_glmm")
  half <- if (is.null(L)) 0 else as.numeric(Matrix::determinant(L, sqrt = TRUE)$modulus)
  wrss <- if (general) {
    r <- working_residuals(fit, fitted_values(fit))
    sum(w * r^2)
  } else {
    sum(w * (fit$y - fitted_values(fit))^2)
  }
  ussq <- sum(spherical_vector(terms)^2)
  n <- fit$n
  p <- ncol(fit$X)
  scaled <- !general || factor_scale(fit) != 1
  cmp <- c(
    ldL2 = 2 * half, ldRX2 = 2 * sum(log(diag(RX))), wrss = wrss, ussq = ussq,
    pwrss = wrss + ussq, drsum = if (general) stats::deviance(fit) else NA,
    REML = if (fit$REML) fit$criterion else NA, dev = if (fit$REML) NA else fit$criterion,
    sigmaML = if (scaled) sqrt((wrss + ussq) / n) else NA,
    sigmaREML = if (general) NA else sqrt((wrss + ussq) / (n - p)),
    tolPwrss = if (general) fit$control$tolerance
  )
  dims <- c(
    N = n, n = n, p = p, nmp = n - p, q = length(spherical_vector(terms)),
    nth = length(relative_theta(terms)),
    if (general) c(nAGQ = as.integer(fit$nAGQ), compDev = 1L),
    useSc = scaled, reTrms = length(terms), spFe = 0L,
    REML = if (fit$REML) p else 0L, GLMM = general, NLMM = FALSE
  )
  storage.mode(dims) <- "integer"
  list(cmp = cmp, dims = dims)
}

# The criterion as a function of the parameters, in lme4's order and scale: `par`, and then for a
# generalised model the fixed effects; what it has besides keeps its estimate unless it is given.
lme4_devfun <- function(fit, terms) {
  general <- inherits(fit, "pp_glmm")
  if (general && fit$method == "pql") {
    pp_abort("argument", c(x = "Penalised quasi-likelihood has no criterion: there is no devfun."))
  }
  eng <- engine(fit)
  at <- parameter_index(terms)
  scale <- ifelse(theta_roles(fit$random) == "r", 1, factor_scale(fit))[at]
  estimates <- engine_parameters_of(fit)
  function(par) {
    full <- estimates
    m <- length(at)
    if (length(par) < m || length(par) > length(full)) {
      pp_abort("argument", c(x = "{.arg par} must have {m} to {length(full)} values."))
    }
    par <- as.numeric(par)
    full[at] <- scale * par[seq_len(m)]
    rest <- seq_len(length(par) - m) + m
    full[rest] <- par[rest]
    if (general) glmm_value(eng, unname(full)) else engine_value(eng, unname(full))
  }
}

engine_parameters_of <- function(fit) {
  if (inherits(fit, "pp_glmm")) engine_parameters(fit) else fit$theta
}

# The size of a negative binomial with variance mu + mu^2 / theta.
negative_binomial_theta <- function(fit) {
  is_nb <- inherits(fit, "pp_glmm") && fit$family$family %in% c("nbinom2", "truncated_nbinom2")
  if (!is_nb) {
    return(NA)
  }
  phi <- row_dispersion(fit)
  if (length(unique(phi)) > 1L) NA_real_ else phi[1L]
}
