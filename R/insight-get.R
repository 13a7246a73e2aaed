# insight: numbers of a fit - degrees of freedom, covariances, likelihood - and its null model.

# Degrees of freedom ------------------------------------------------------------------------------

# "residual": rows less all parameters; "wald": those a Wald test of insight uses, for a linear
# model the residual ones; "satterthwaite", "kenward-roger": of each fixed effect, or with
# `df_per_obs` of the mean of each row of `data`; "normal": infinite; "model": all parameters.
get_df.pp_fit <- function(x, type = "residual", verbose = TRUE, data = NULL, df_per_obs = FALSE,
                          ...) {
  type <- tolower(type[1L])
  method <- ddf_of_type(type)
  if (!is.null(method)) {
    L <- if (isTRUE(df_per_obs)) insight_matrix(x, data)
    return(inference_df(inference_by(x, method), L))
  }
  switch(type,
    normal = Inf, model = x$df, residual = , analytical = residual_df(x),
    ml1 = , "m-l-1" = , betwithin = , "between-within" = NextMethod(),
    wald = , any = , profile = , uniroot = , likelihood = , boot = , quantile = {
      if (find_statistic_of(x) == "z-statistic") Inf else residual_df(x)
    },
    abort_df_type(type)
  )
}

ddf_of_type <- function(type) {
  switch(type,
    satterthwaite = "satterthwaite", kr = , kenward = , "kenward-roger" = "kenward-roger"
  )
}

# Rows less the parameters of logLik(); less the coefficients alone where a linear model has no
# random effects, as for lm().
residual_df <- function(fit) {
  if (inherits(fit, "pp_kernel_fit") && has_t_tests(fit)) {
    return(coefficient_df(fit))
  }
  linear <- inherits(fit, "pp_lmm") && !has_random(fit)
  length(fit$y) - if (linear) length(fit$coefficients) else fit$df
}

# As insight does, by the fit by REML where the method of Kenward and Roger is asked of another.
inference_by <- function(fit, method) {
  inference(if (method == "kenward-roger") restricted_fit(fit) else fit, method)
}

inference_df <- function(inference, L = NULL) {
  if (!is.null(L)) {
    return(unname(inference$df(L)))
  }
  k <- length(inference$coefficients)
  stats::setNames(inference$df(diag(k)), names(inference$coefficients))
}

abort_df_type <- function(type) {
  known <- c("residual", "wald", "normal", "satterthwaite", "kenward-roger", "model", "ml1",
    "betwithin"
  )
  pp_abort("argument", c(
    x = "{.arg type} must be one of {.or {.val {known}}}.", i = "It is {.val {type}}."
  ))
}

# X of the rows of `data`, of those fitted without.
insight_matrix <- function(fit, data = NULL) {
  if (is.null(data)) fit$X else design_newdata(fit, data, NA, TRUE)$X
}

# Covariances --------------------------------------------------------------------------------------

# `vcov`: a matrix, a function of the fit, or the name of an estimator in sandwich or clubSandwich;
# `vcov_args`: its arguments `cluster`, `type`, `cadjust`.
get_varcov.pp_fit <- function(x, component = "conditional", verbose = TRUE, vcov = NULL,
                              vcov_args = NULL, ...) {
  wanted <- insight_components(component)
  value <- if (is.null(vcov)) {
    model_covariance(x, wanted)
  } else if (is.function(vcov)) {
    do.call(vcov, c(list(x), vcov_args))
  } else if (is.character(vcov)) {
    robust_covariance(x, wanted, vcov[1L], as.list(vcov_args))
  } else {
    vcov
  }
  value <- as.matrix(value)
  insight::text_remove_backticks(value)
}

model_covariance <- function(fit, wanted) {
  if (inherits(fit, "pp_kernel_fit") || identical(wanted, "cond")) {
    return(stats::vcov(fit))
  }
  names <- names(fixed_parts(fit, component_names[wanted]))
  blocks <- lapply(names, function(name) fixed_covariance(fit, name))
  if (length(names) == 1L) {
    return(blocks[[1L]])
  }
  at <- parameter_positions(fit)[names(component_names)[match(names, component_names)]]
  if (any(lengths(at) == 0L)) {
    # Some were held: without covariance with the others.
    all <- as.matrix(Matrix::bdiag(blocks))
    labels <- unlist(lapply(blocks, rownames))
    return(structure(all, dimnames = list(labels, labels)))
  }
  fit$vcov_full[unlist(at), unlist(at), drop = FALSE]
}

robust_covariance <- function(fit, wanted, vcov, args) {
  if (!is.null(ddf_of_type(tolower(vcov)))) {
    return(inference_by(fit, ddf_of_type(tolower(vcov)))$vcov)
  }
  estimator <- sandwich_estimator(vcov, args, has_random(fit))
  if (is.null(estimator)) {
    pp_abort("argument", c(
      x = "{.arg vcov} cannot be {.val {vcov}} for this fit.",
      i = if (startsWith(sub("^vcov", "", vcov), "HC") && has_random(fit)) {
        "Its rows are not independent: they share random effects."
      },
      ">" = "{.val CR0}, {.val CR1}, {.val CR1S}, {.val CR2}, {.val CR3} and {.val vcovCL} are
             robust to dependence within clusters."
    ))
  }
  component <- if (length(wanted) == 1L) wanted else "cond"
  arguments <- list(fit, type = "sandwich", cluster = args$cluster, correction = estimator)
  if (inherits(fit, "pp_glmm")) arguments$component <- component
  do.call(stats::vcov, arguments)
}

# Our name for the small-sample correction of an estimator; NULL if there is none.
sandwich_estimator <- function(vcov, args, has_random) {
  name <- sub("^vcov", "", vcov)
  type <- if (is.null(args$type)) name else args$type
  if (name == "CL") {
    plain <- isFALSE(args$cadjust)
    return(switch(if (is.null(args$type)) "HC0" else type,
      HC0 = if (plain) "CR0" else "CR1", HC1 = if (plain) NULL else "CR1S", HC2 = "CR2", HC3 = "CR3"
    ))
  }
  # insight's default for clubSandwich's estimator.
  if (type == "CR") type <- "CR2"
  # Rows of a model without random effects are clusters of their own.
  if (!has_random && startsWith(type, "HC")) {
    return(switch(type, HC0 = "CR0", HC1 = "CR1S", HC2 = "CR2", HC = , HC3 = "CR3"))
  }
  if (type %in% c("CR0", "CR1", "CR1S", "CR2", "CR3")) type
}

# Likelihood ---------------------------------------------------------------------------------------

# `check_response`: on the scale of the untransformed response, log(y) say.
get_loglikelihood.pp_fit <- function(x, estimator = NULL, REML = NULL, check_response = FALSE,
                                     verbose = TRUE, ...) {
  if (identical(estimator, "REML")) REML <- TRUE
  if (identical(estimator, "ML")) REML <- FALSE
  value <- if (inherits(x, "pp_lmm")) stats::logLik(x, REML = REML) else stats::logLik(x)
  if (isTRUE(check_response)) value[1L] <- value[1L] + response_jacobian(x)
  structure(value, per_obs = NA, class = c("logLik", class(x)))
}

# The log density of y is that of h(y) plus the sum of log |h'(y)|.
response_jacobian <- function(fit) {
  lhs <- fit$formula[[2L]]
  if (inherits(fit, "pp_kernel_fit") || is.symbol(lhs) || !is.null(fit$family$family)) {
    return(0)
  }
  variable <- all.vars(lhs)
  values <- insight::get_data(fit, verbose = FALSE)[[variable[1L]]]
  slope <- tryCatch(eval(stats::D(lhs, variable), stats::setNames(list(values), variable)),
    error = function(e) NULL
  )
  if (is.null(slope) || is.null(values)) 0 else sum(log(abs(rep_len(slope, length(values)))))
}

# The quantity of insight, not of deviance(): minus twice the log-likelihood.
get_deviance.pp_fit <- function(x, REML = FALSE, verbose = TRUE, ...) {
  value <- if (inherits(x, "pp_lmm")) stats::logLik(x, REML = REML) else stats::logLik(x)
  -2 * as.numeric(value)
}

# Pearson chi-square over the residual degrees of freedom, where the distribution does not fix it.
get_dispersion.pp_glmm <- function(x, verbose = TRUE, ...) {
  if (!traits_of(x$family)$dispersion || grepl("nbinom", x$family$family)) {
    return(1)
  }
  sum(stats::residuals(x, type = "pearson")^2) / residual_df(x)
}

get_dispersion.pp_lmm <- function(x, verbose = TRUE, ...) x$sigma^2

# Variances ----------------------------------------------------------------------------------------

# Variances of zero are results, and no reason for a warning. `approximation`: how the variance of
# the distribution is brought to the scale of the link, "observation_level" the delta method.
get_variance.pp_fit <- function(x, component = "all", tolerance = 1e-8, null_model = NULL,
                                approximation = "lognormal", verbose = TRUE, ...) {
  known <- c("all", "fixed", "random", "residual", "distribution", "dispersion", "intercept",
    "slope", "rho01", "rho00"
  )
  component <- choose_option(component[1L], known, "component")
  correlations <- effect_correlations(x)
  values <- effect_variances(x)
  if (component %in% c("all", "fixed", "random", "residual", "distribution", "dispersion")) {
    parts <- insight_parts(x, approximation)
    values <- c(parts, values)
  }
  values <- c(values, correlations)
  wanted <- switch(component,
    all = names(values), rho01 = "cor.slope_intercept", rho00 = "cor.slopes",
    paste0("var.", component)
  )
  values <- values[intersect(names(values), wanted)]
  if (length(values) && length(wanted) == 1L) values[[1L]] <- values[[1L]]
  values
}

insight_parts <- function(fit, approximation) {
  parts <- variance_parts(fit, if (inherits(fit, "pp_glmm")) variance_method(fit, approximation))
  unit <- parts$unit^2
  distribution <- unit * parts$distribution / mean_trials(fit, parts$method)
  dispersion <- unit * parts$row_effects
  list(
    var.fixed = unit * parts$fixed, var.random = unit * sum(parts$random),
    var.residual = distribution + dispersion, var.distribution = distribution,
    var.dispersion = dispersion
  )
}

# insight's name of a method, where the link has it.
variance_method <- function(fit, approximation) {
  if (approximation == "observation_level") approximation <- "delta"
  known <- if (fit$family$link == "log") c("lognormal", "delta", "trigamma") else "delta"
  if (link_variance(fit$family) > 0 && approximation != "delta") {
    return("theoretical")
  }
  if (approximation %in% known) approximation
}

# For successes and failures newer releases take the variance of a mean of so many trials.
mean_trials <- function(fit, method) {
  y <- given_response(fit)
  binomial <- identical(fit$family$family, "binomial") && is.matrix(y)
  if (!binomial || utils::packageVersion("insight") < "0.20.4") 1 else mean(rowSums(y))
}

# Variances of intercepts and slopes, named by term.
effect_variances <- function(fit) {
  matrices <- named_covariances(fit)
  intercepts <- unlist(lapply(matrices, function(v) {
    at <- match("(Intercept)", rownames(v))
    if (!is.na(at)) unname(v[at, at])
  }))
  slopes <- unlist(lapply(matrices, function(v) diag(v)[rownames(v) != "(Intercept)"]))
  Filter(length, list(var.intercept = intercepts, var.slope = slopes))
}

# Correlations of what may be correlated.
effect_correlations <- function(fit) {
  matrices <- named_covariances(fit)
  matrices <- Filter(function(v) nrow(v) > 1L && attr(v, "structure") != "diag", matrices)
  with_intercept <- unlist(lapply(matrices, function(v) {
    if (rownames(v)[1L] == "(Intercept)") attr(v, "correlation")[-1L, 1L]
  }))
  slopes <- unlist(lapply(matrices, function(v) {
    r <- attr(v, "correlation")
    cells <- which(lower.tri(r) & rownames(r)[col(r)] != "(Intercept)", arr.ind = TRUE)
    stats::setNames(r[cells],
      sprintf("%s-%s", rownames(r)[cells[, 2L]], rownames(r)[cells[, 1L]])
    )
  }))
  # A correlation that has a name of its own, as the slope of one intercept, bears the term's only.
  one <- lengths(lapply(matrices, function(v) rownames(v)[-1L])) == 1L
  if (length(with_intercept) && length(with_intercept) == sum(one)) {
    names(with_intercept) <- names(matrices)[one]
  }
  Filter(length, list(cor.slope_intercept = with_intercept, cor.slopes = slopes))
}

# The covariance matrices of the random terms, each with a name of its own, as lme4 gives them.
named_covariances <- function(fit) {
  matrices <- VarCorr(fit)
  stats::setNames(
    lapply(seq_along(matrices), function(k) matrices[[k]]), make.unique(names(matrices))
  )
}

get_mixed_info.pp_fit <- function(model, component = "conditional", verbose = TRUE, ...) {
  list(
    beta = model$coefficients, X = model$X, vc = named_covariances(model),
    re = lapply(ranef(model, condVar = FALSE), identity)
  )
}

# Null model ---------------------------------------------------------------------------------------

# The fit with an intercept and the random terms alone, on the rows of the fit, with its weights and
# offset; nothing is evaluated again.
null_model.pp_fit <- function(model, verbose = TRUE, ...) {
  design <- design_of(model)
  bars <- split_sum(model$formula[[3L]], model$formula)$bars
  fixed <- make_formula(1, model$formula[[2L]], environment(model$formula))
  design$formula <- make_formula(sum_of(c(list(1), bars)), model$formula[[2L]],
    environment(model$formula)
  )
  design$terms <- prediction_terms(stats::terms(fixed), model$frame)
  design[c("xlevels", "contrasts")] <- list(NULL)
  X <- matrix(1, model$n, 1L, dimnames = list(row.names(model$frame), "(Intercept)"))
  design$X <- structure(X, assign = 0L)
  design$column_names <- "(Intercept)"
  design$aliased <- character()
  call <- model$call
  call$formula <- design$formula
  control <- quiet_fit(model)$control
  if (!inherits(model, "pp_glmm")) {
    return(fit_design(design, model$REML, NULL, control, call))
  }
  for (part in c("dispersion", "zi")) {
    if (!is.null(design[[part]])) {
      design[[part]] <- constant_part(model$n, environment(model$formula))
      call[[if (part == "zi") "ziformula" else "dispformula"]] <- quote(~1)
    }
  }
  fit_glmm(design, integral_of(model), model$REML, NULL, NULL, control, call)
}

null_model.pp_kernel_fit <- function(model, verbose = TRUE, ...) {
  X <- matrix(1, model$n, 1L, dimnames = list(rownames(model$X), "(Intercept)"))
  suppressMessages(stats::update(model, X = X, start = NULL))
}
