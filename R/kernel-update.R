# A changed fit, from what the fit holds.

#' @rdname kernel-methods
#' @export
update.pp_kernel_fit <- function(object, formula., ...) {
  if (!missing(formula.)) {
    pp_abort("argument", c(
      x = "A kernel model has no formula to change.",
      ">" = "Arguments to change must be named, as in {.code X = cbind(1, x)}."
    ))
  }
  changed <- list(...)
  refit <- if (inherits(object, "pp_kernel_glmm")) kernel_glmm else kernel_lmm
  check_changed(changed, names(formals(refit)))
  fit <- do.call(refit, updated_arguments(object, changed, names(formals(refit))), quote = TRUE)
  about_X <- c("aliased", "column_names")
  if (!"X" %in% names(changed)) fit[about_X] <- object[about_X]
  extras <- match.call(expand.dots = FALSE)$...
  call <- object$call
  for (name in names(extras)) call[name] <- list(extras[[name]])
  fit$call <- call
  fit
}

# The arguments `known` of the fitting function: those of the fit, with the changes.
updated_arguments <- function(fit, changed, known) {
  arguments <- stored_arguments(fit, changed)
  arguments[names(changed)] <- changed
  start <- changed$start
  if (is.list(start)) {
    arguments$start <- merged_start(stored_start(fit, names(changed)), start)
    # What is held is held at the new value.
    held <- intersect(names(arguments$fix), names(arguments$start))
    if (!"fix" %in% names(changed)) arguments$fix[held] <- arguments$start[held]
  }
  arguments[intersect(names(arguments), known)]
}

check_changed <- function(changed, known) {
  if (length(changed) && (is.null(names(changed)) || !all(nzchar(names(changed))))) {
    pp_abort("argument", c(x = "Arguments to change must be named, as in {.code fit = FALSE}."))
  }
  unknown <- setdiff(names(changed), known)
  if (length(unknown)) {
    pp_abort("argument", c(
      x = "{cli::qty(unknown)}Unknown argument{?s}: {.arg {unknown}}.",
      if (length(unknown) == 1L) suggest_name(unknown, known)
    ))
  }
}

# Arguments that make the same fit again, where the caller does not change them.
stored_arguments <- function(fit, changed) {
  y <- as_kernel_response(fit, fit$y)
  X <- fit$X
  if (is.matrix(y)) rownames(y) <- fit$names else names(y) <- fit$names
  if (!"y" %in% names(changed)) rownames(X) <- fit$names
  held <- stored_parameters(fit)[names(fit$fixed)[fit$fixed]]
  if (!length(fit$coefficients)) held$beta <- NULL
  if (is.null(fit$kernel)) held$delta <- NULL
  if (!is.null(fit$family)) held <- without_family_values(held, fit$family)
  counts <- identical(fit$response$kind, "successes") && !is.matrix(changed$y)
  arguments <- list(
    y = y, X = X, kernel = fit$kernel, family = fit$family, trials = if (counts) fit$trials,
    offset = fit$offset, REML = fit$REML, noise_var = fit$noise_var, fix = held,
    start = stored_start(fit, names(changed)), fit = fit$fitted, control = fit$control
  )
  arguments
}

stored_parameters <- function(fit) {
  value <- list(beta = fit$coefficients, scale = fit$scale, delta = fit$delta)
  if (!is.null(fit$dispersion)) value$dispersion <- fit$dispersion
  if (!is.null(fit$shape)) value$shape <- fit$shape[[1L]]
  value
}

without_family_values <- function(values, family) {
  if (!is.null(held_dispersion(family))) values$dispersion <- NULL
  if (!is.null(held_shape(family))) values$shape <- NULL
  values
}

# Estimates that still have a meaning with the arguments that change.
stored_start <- function(fit, changed) {
  start <- stored_parameters(fit)
  if ("X" %in% changed || !length(fit$coefficients)) start$beta <- NULL
  # Another kernel is another parting of the variance.
  if ("kernel" %in% changed) start$delta <- NULL
  if ("family" %in% changed) start <- start[intersect(c("beta", "scale", "delta"), names(start))]
  if (!is.null(fit$family)) start <- without_family_values(start, fit$family)
  start
}

# Values of `start` before those of the fit; v0 and v1 become scale and delta.
merged_start <- function(stored, start) {
  given <- intersect(c("v0", "v1"), names(start))
  if (length(given)) {
    v <- list(v0 = stored$scale * (1 - stored$delta), v1 = stored$scale * stored$delta)
    v[given] <- start[given]
    start[given] <- NULL
    start <- c(start, from_variances(v, "start"))
  }
  stored[names(start)] <- start
  stored
}
