# Methods for the pbkrtest package: its tests of one fit against a smaller one, with our inference()
# and bootstrap, in its own classes, so that its print, summary and getKR() go on from there.

KRmodcomp.pp_lmm <- function(largeModel, smallModel, betaH = 0, details = 0) {
  started <- proc.time()[[3L]]
  models <- nested_models(largeModel, smallModel)
  large <- restricted_fit(models$large)
  L <- model2restriction_matrix.pp_fit(large, models$small)
  joint <- inference(large, "kenward-roger")$joint(L, betaH)
  unscaled <- joint$chisq / joint$num
  p_unscaled <- stats::pf(unscaled, joint$num, joint$den, lower.tail = FALSE)
  # One degree of freedom has no factor; without random effects the test is exact.
  scale <- if (is.null(joint$scale)) 1 else joint$scale
  stats <- list(
    ndf = joint$num, ddf = joint$den, Fstat = joint$statistic, p.value = joint$p,
    F.scaling = scale, FstatU = unscaled, p.valueU = p_unscaled, aux = c(F.scaling = scale)
  )
  test <- data.frame(
    stat = c(joint$statistic, unscaled), ndf = as.integer(joint$num), ddf = joint$den,
    F.scaling = c(scale, NA), p.value = c(joint$p, p_unscaled), row.names = c("Ftest", "FtestU")
  )
  structure(
    list(
      test = test, type = "F", aux = stats$aux, stats = stats,
      formula.large = bare_formula(large),
      formula.small = if (is.numeric(models$small)) {
        list(L = L, betaH = betaH)
      } else {
        bare_formula(models$small)
      },
      ctime = c(elapsed = proc.time()[[3L]] - started), L = L
    ),
    class = "KRmodcomp"
  )
}

SATmodcomp.pp_lmm <- function(largeModel, smallModel, details = 0, eps = NULL) {
  started <- proc.time()[[3L]]
  models <- nested_models(largeModel, smallModel)
  large <- restricted_fit(models$large)
  L <- model2restriction_matrix.pp_fit(large, models$small)
  joint <- inference(large, "satterthwaite")$joint(L)
  test <- data.frame(
    statistic = joint$statistic, ndf = as.integer(joint$num), ddf = joint$den, p.value = joint$p
  )
  structure(
    list(
      test = test, sigma = large$sigma, formula.large = stats::formula(large), formula.small = L,
      ctime = c(elapsed = proc.time()[[3L]] - started), L = L
    ),
    class = "SATmodcomp"
  )
}

KRmodcomp.pp_fit <- function(largeModel, smallModel, betaH = 0, details = 0) abort_no_f_test()
SATmodcomp.pp_fit <- function(largeModel, smallModel, ...) abort_no_f_test()
vcovAdj.pp_fit <- function(object, details = 0) abort_no_f_test()

abort_no_f_test <- function() {
  pp_abort("argument", c(
    x = "The methods of Kenward and Roger and of Satterthwaite are for fits by {.fn lmm}.",
    ">" = "Compare fits by {.fn anova}, or by {.fn bootstrap_test}."
  ))
}

# The adjusted covariance, with what ddf_Lb() of that package needs: changes of the information by
# the variance parameters (P), and their covariance (W).
vcovAdj.pp_lmm <- function(object, details = 0) {
  object <- restricted_fit(object)
  value <- inference(object, "kenward-roger")$vcov
  result <- methods::as(Matrix::Matrix(value, sparse = FALSE), "generalMatrix")
  if (has_random(object)) {
    parts <- engine_kenward_roger(engine(object), object$theta, kenward_roger_columns)
    inverse <- solve(object$sigma * parts$root)
    p <- ncol(value)
    attr(result, "P") <- lapply(seq_len(dim(parts$changes)[3L]), function(k) {
      change <- object$sigma^2 * parts$root %*% matrix(parts$changes[, , k], p) %*% t(parts$root)
      unscaled <- crossprod(inverse)
      P <- -unscaled %*% change %*% unscaled
      dimnames(P) <- dimnames(value)
      Matrix::forceSymmetric(Matrix::Matrix(P, sparse = FALSE))
    })
    attr(result, "W") <- Matrix::forceSymmetric(Matrix::Matrix(parts$covariance, sparse = FALSE))
  }
  result
}

get_Lb_ddf.pp_lmm <- function(object, L) {
  inference <- inference(restricted_fit(object), "kenward-roger")
  inference$joint(as_contrasts(L, length(object$coefficients)))$den
}

model2restriction_matrix.pp_fit <- function(largeModel, smallModel, sparse = FALSE) {
  if (is.numeric(smallModel) || methods::is(smallModel, "Matrix")) {
    L <- restriction_rows(smallModel, ncol(largeModel$X))
  } else {
    decomposed <- qr(largeModel$X)
    check_inside(decomposed, smallModel$X)
    L <- deletion_contrasts(decomposed, smallModel$X)
    L <- zapsmall(t(qr.Q(qr(t(L)))), 14L)
  }
  if (sparse) Matrix::Matrix(L, sparse = TRUE) else L
}

# Full rank, a row a restriction.
restriction_rows <- function(L, p) {
  L <- as_contrasts(if (is.numeric(L)) L else as.matrix(L), p)
  if (ncol(L) != p) {
    pp_abort("argument", c(
      x = "A restriction must have a column for each of the {p} coefficients.",
      i = "It has {ncol(L)}."
    ))
  }
  found <- qr(t(L))
  if (found$rank == nrow(L)) L else t(qr.Q(found)[, seq_len(found$rank), drop = FALSE])
}

check_inside <- function(decomposed, X) {
  size <- apply(abs(X), 2L, max)
  outside <- abs(qr.resid(decomposed, X)) > 1e-7 * rep(size, each = nrow(X))
  if (any(outside)) {
    pp_abort("argument", c(
      x = "The smaller model is no special case of the larger one.",
      i = "Not a combination of its columns: {.val {colnames(X)[colSums(outside) > 0]}}."
    ))
  }
}

# The fit under the restriction L beta = 0, of the design that the fit stores.
restriction_matrix2model.pp_fit <- function(largeModel, L, REML = TRUE, ...) {
  L <- restriction_rows(L, ncol(largeModel$X))
  basis <- qr.Q(qr(t(L)), complete = TRUE)[, -seq_len(nrow(L)), drop = FALSE]
  X <- largeModel$X %*% basis
  colnames(X) <- paste0(".X", seq_len(ncol(X)))
  design <- design_of(quiet_fit(largeModel))
  design$X <- structure(X, assign = seq_len(ncol(X)))
  labels <- lapply(colnames(X), as.symbol)
  bars <- split_sum(largeModel$formula[[3L]], largeModel$formula)$bars
  design$formula <- make_formula(
    sum_of(c(list(0), labels, bars)), largeModel$formula[[2L]], environment(largeModel$formula)
  )
  call <- largeModel$call
  call$formula <- design$formula
  control <- quiet_fit(largeModel)$control
  if (inherits(largeModel, "pp_glmm")) {
    return(fit_glmm(design, integral_of(largeModel), FALSE, NULL, NULL, control, call))
  }
  fit_design(design, REML, NULL, control, call)
}

getLRT.pp_fit <- function(largeModel, smallModel) {
  values <- lapply(list(largeModel, smallModel), function(fit) likelihood_of(refit_ml(fit)))
  tobs <- 2 * (as.numeric(values[[1L]]) - as.numeric(values[[2L]]))
  df <- attr(values[[1L]], "df") - attr(values[[2L]], "df")
  c(tobs = tobs, df = df, p.value = stats::pchisq(tobs, df, lower.tail = FALSE))
}

# Likelihood ratios under the smaller model, as bootstrap_test() finds them, parallel as it is.
PBrefdist.pp_fit <- function(largeModel, smallModel, nsim = 1000, seed = NULL, cl = NULL,
                             details = 0) {
  started <- proc.time()[[3L]]
  models <- bootstrap_models(largeModel, smallModel)
  found <- bootstrap_test(models$small, models$large, nsim, seed)
  ratios <- as.numeric(found$bootstrap$t)
  ratios <- ratios[is.finite(ratios)]
  observed <- getLRT.pp_fit(models$large, models$small)
  extreme <- sum(ratios > observed[["tobs"]])
  positive <- sum(ratios > 0)
  structure(ratios,
    cl = 1, ctime = c(elapsed = proc.time()[[3L]] - started), stat = observed,
    samples = c(
      nsim = nsim, npos = positive, n.extreme = extreme, pPB = (1 + extreme) / (1 + positive)
    ),
    class = "refdist"
  )
}

PBmodcomp.pp_fit <- function(largeModel, smallModel, nsim = 1000, ref = NULL, seed = NULL,
                             cl = NULL, details = 0) {
  models <- bootstrap_models(largeModel, smallModel)
  if (is.null(ref)) ref <- PBrefdist.pp_fit(models$large, models$small, nsim, seed)
  observed <- getLRT.pp_fit(models$large, models$small)
  positive <- ref[ref > 0]
  extreme <- sum(positive > observed[["tobs"]])
  test <- data.frame(
    stat = observed[["tobs"]], df = c(observed[["df"]], NA),
    p.value = c(observed[["p.value"]], (1 + extreme) / (1 + length(positive))),
    row.names = c("LRT", "PBtest")
  )
  structure(
    list(
      test = test, type = "X2test", samples = c(nsim = length(ref), npos = length(positive)),
      n.extreme = extreme, ctime = attr(ref, "ctime"), LRTstat = observed, ref = ref,
      formula.large = bare_formula(largeModel),
      formula.small = if (is.numeric(smallModel)) smallModel else bare_formula(models$small)
    ),
    class = "PBmodcomp"
  )
}

# list(large, small): `small` a fit, or the restriction as it was given.
nested_models <- function(large, small) {
  if (inherits(small, "formula")) small <- stats::update(large, small)
  if (!inherits(small, "pp_fit")) {
    return(list(large = large, small = small))
  }
  swapped <- ncol(small$X) > ncol(large$X)
  list(large = if (swapped) small else large, small = if (swapped) large else small)
}

bootstrap_models <- function(large, small) {
  models <- nested_models(large, small)
  if (!inherits(models$small, "pp_fit")) {
    models$small <- restriction_matrix2model.pp_fit(large, models$small, REML = FALSE)
  }
  lapply(models, refit_ml)
}

bare_formula <- function(fit) {
  formula <- stats::formula(fit)
  attributes(formula) <- NULL
  formula
}
