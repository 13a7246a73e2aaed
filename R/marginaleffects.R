# marginaleffects: predictions, comparisons, slopes and hypotheses by the delta method. The
# coefficients are varied and the random effects held, as for lme4's fits.

# What every call does first: the parent class joins those that marginaleffects accepts, next to
# what the user has put there.
sanitize_model_specific.pp_fit <- function(model, vcov = TRUE, re.form, ...) {
  known <- getOption("marginaleffects_model_classes")
  if (!"pp_fit" %in% known) options(marginaleffects_model_classes = c(known, "pp_fit"))
  conditional <- missing(re.form) || !isTRUE(is.na(re.form))
  if (conditional && has_random(model) && !isFALSE(vcov)) note_fixed_uncertainty()
  model
}

# Once a session, not with every call.
note_fixed_uncertainty <- function() {
  if (isFALSE(getOption("marginaleffects_safe"))) {
    return(invisible())
  }
  pp_warn("argument", c(
    "!" = "Standard errors are those of the fixed effects: the random effects are held.",
    i = "{.code re.form = NA} is for the population, where they are zero.",
    i = "{.code predict(fit, newdata, se.fit = TRUE)} counts the uncertainty of both."
  ), .frequency = "once", .frequency_id = "partialpool_marginaleffects")
}

sanitize_model_specific.pp_kernel_fit <- function(model, ...) {
  pp_abort("argument", c(
    x = "marginaleffects needs a formula and data; this kernel model was made of matrices.",
    ">" = "{.fn lmm} and {.fn glmm} with {.arg kernel} fit such models from a formula.",
    ">" = "{.fn predict} and {.fn confint} know this one."
  ))
}

# `newdata` has the rows to predict, with their numbers in a column `rowid`.
get_predict.pp_fit <- function(model, newdata = insight::get_data(model), type = "response",
                               re.form = NULL, allow.new.levels = FALSE, random.only = FALSE, ...) {
  if (is.null(type)) type <- "response"
  value <- stats::predict(model, with_logical_variables(model, as.data.frame(newdata)),
    re.form = re.form, allow.new.levels = allow.new.levels, random.only = random.only, type = type
  )
  rowid <- newdata[["rowid"]]
  data.frame(
    rowid = if (is.null(rowid)) seq_along(value) else rowid, estimate = unname(value)
  )
}

# A grid of the values of a logical variable has been made a factor.
with_logical_variables <- function(fit, newdata) {
  logical <- names(fit$frame)[vapply(fit$frame, is.logical, NA)]
  for (name in intersect(logical, names(newdata))) {
    newdata[[name]] <- as.logical(as.character(newdata[[name]]))
  }
  newdata
}

# Coefficients ------------------------------------------------------------------------------------

get_coef.pp_fit <- function(model, ...) {
  parts <- varied_parts(model)
  prefix <- rep(ifelse(names(parts) == "cond", "", paste0(names(parts), "~")), lengths(parts))
  stats::setNames(
    unlist(parts, use.names = FALSE), paste0(prefix, unlist(lapply(parts, names)))
  )
}

# The coefficients that a prediction can depend on. A constant dispersion is none, but where the
# mean of a truncated distribution depends on it.
varied_parts <- function(fit) {
  disp <- fit$dispersion
  varied <- !is.null(disp) && !isTRUE(disp$fixed) &&
    (length(disp$coefficients) > 1L || is_truncated(fit))
  parts <- list(
    cond = fit$coefficients, zi = fit$zi$coefficients, disp = if (varied) disp$coefficients
  )
  parts[lengths(parts) > 0L]
}

set_coef.pp_fit <- function(model, coefs, ...) {
  all <- get_coef.pp_fit(model)
  if (is.null(names(coefs))) names(coefs) <- names(all)
  all[names(coefs)] <- as.numeric(coefs)
  parts <- varied_parts(model)
  values <- split(unname(all), factor(rep(names(parts), lengths(parts)), names(parts)))
  model$coefficients[] <- values$cond
  if (!is.null(values$zi)) model$zi$coefficients[] <- values$zi
  if (!is.null(values$disp)) model$dispersion$coefficients[] <- values$disp
  model
}

# Covariance --------------------------------------------------------------------------------------

# `vcov`: TRUE, FALSE, a matrix, a function of the fit, a method of degrees of freedom, a formula of
# clusters, or the name of an estimator that is robust: in a mixed model its units are not the rows
# but the levels of the outermost grouping factor.
get_vcov.pp_fit <- function(model, vcov = NULL, ...) {
  if (isFALSE(vcov)) {
    return(NULL)
  }
  if (is.null(vcov) || isTRUE(vcov)) {
    return(delta_covariance(model))
  }
  if (is.function(vcov)) vcov <- vcov(model)
  if (inherits(vcov, "Matrix")) vcov <- as.matrix(vcov)
  if (is.matrix(vcov)) {
    return(align_covariance(vcov, names(get_coef.pp_fit(model))))
  }
  if (is.character(vcov) && tolower(vcov) %in% c("satterthwaite", "kenward-roger")) {
    check_ddf(vcov, c(if (inherits(model, "pp_lmm")) ddf_methods, "none"), "this model")
    return(inference(model, vcov)$vcov)
  }
  robust_delta_covariance(model, vcov)
}

delta_covariance <- function(fit) {
  parts <- varied_parts(fit)
  names <- names(get_coef.pp_fit(fit))
  if (identical(names(parts), "cond")) {
    return(structure(as.matrix(stats::vcov(fit)), dimnames = list(names, names)))
  }
  at <- parameter_positions(fit)[names(parts)]
  if (!identical(lengths(at), lengths(parts))) {
    pp_abort("argument", c(
      x = "The fit has no joint covariance of all its coefficients.",
      i = "Its method gives none for {.val {names(parts)[lengths(at) != lengths(parts)]}}.",
      ">" = "{.code vcov = FALSE} gives estimates without standard errors."
    ))
  }
  at <- unlist(at)
  structure(fit$vcov_full[at, at, drop = FALSE], dimnames = list(names, names))
}

align_covariance <- function(V, names) {
  own <- colnames(V)
  if (is.null(own) && ncol(V) == length(names)) own <- names
  lost <- setdiff(names, own)
  if (length(lost) || nrow(V) != ncol(V)) {
    pp_abort("argument", c(
      x = "{.arg vcov} must have a row and a column for each coefficient.",
      i = if (length(lost)) "It has none for {.val {lost}}."
    ))
  }
  dimnames(V) <- list(own, own)
  V[names, names, drop = FALSE]
}

robust_delta_covariance <- function(fit, vcov) {
  corrections <- c(
    hc0 = "CR0", hc1 = "CR1S", stata = "CR1S", hc2 = "CR2", hc3 = "CR3", hc = "CR3", robust = "CR3"
  )
  correction <- if (inherits(vcov, "formula")) {
    "CR1"
  } else if (is.character(vcov) && length(vcov) == 1L) {
    corrections[tolower(vcov)]
  } else {
    NA
  }
  if (is.na(correction)) {
    pp_abort("argument", c(
      x = "{.arg vcov} is not known for this fit.",
      i = "It can be {.val {c('HC0', 'HC1', 'HC2', 'HC3', 'satterthwaite', 'kenward-roger')}}, a
           formula of clusters, a matrix or a function."
    ))
  }
  if (length(varied_parts(fit)) > 1L) {
    pp_abort("argument", c(
      x = "There is no robust covariance of coefficients of several linear predictors together.",
      ">" = "{.code vcov = TRUE} takes that of the model."
    ))
  }
  cluster <- if (inherits(vcov, "formula")) vcov
  stats::vcov(fit, type = "sandwich", cluster = cluster, correction = correction[[1L]])
}
