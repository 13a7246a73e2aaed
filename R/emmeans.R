# emmeans: what it needs to know of a fit. Nothing is evaluated again: the data are those that the
# fit stores, degrees of freedom those of inference().

emmeans_modes <- c("satterthwaite", "kenward-roger", "residual", "asymptotic")
emmeans_components <- c("cond", "zi", "disp", "response")

# The variables of the rows fitted, with what ref_grid() reads off them.
recover_data.pp_fit <- function(object, data = NULL, component = "cond", ...) {
  component <- grid_component(object, component)
  trms <- component_terms(object, component)
  call <- formula_first(object, component)
  own <- is.null(data)
  if (own) data <- raw_variables(object)
  lost <- setdiff(all.vars(trms), c(names(data), list(...)$params, "pi"))
  lost <- lost[vapply(lost, function(name) is_a_row_variable(name, object), NA)]
  if (length(lost)) {
    return(paste0(
      "The fit does not store the variable ", paste0("'", lost, "'", collapse = ", "),
      ": give the data of the fit as 'data'."
    ))
  }
  table <- if (own) {
    frame <- offset_frame(object, component)
    emmeans::recover_data(call, trms, NULL, data = data, frame = frame, ...)
  } else {
    emmeans::recover_data(call, trms, NULL, data = data, ...)
  }
  weights <- stats::weights(object, "prior")
  if (length(object$na.action)) weights <- weights[!is.na(weights)]
  if (is.data.frame(table) && nrow(table) == length(weights)) table[["(weights)"]] <- weights
  table
}

# A model of matrices has no variables to make a grid of.
recover_data.pp_kernel_fit <- function(object, ...) {
  paste(
    "A kernel model was made of matrices: it has no variables to average over.",
    "Test contrasts of its coefficients with linear_hypothesis(), or give emmeans the formula of",
    "'X': emmeans::qdrg(formula, data, coef = coef(fit), vcov = vcov(fit))."
  )
}

recover_data.pp_kernel_traits <- recover_data.pp_kernel_fit

# Of a linear model the response is what its one linear predictor gives.
grid_component <- function(fit, component) {
  component <- choose_option(component, emmeans_components, "component")
  if (component == "response" && inherits(fit, "pp_lmm")) component <- "cond"
  if (component != "response") model_part(fit, component)
  component
}

# A variable, not a constant such as the knots of a spline.
is_a_row_variable <- function(name, fit) {
  value <- get0(name, environment(fit$terms))
  is.null(value) || is.function(value) || NROW(value) == fit$n
}

# Terms of one linear predictor, or for the response of all.
component_terms <- function(fit, component) {
  if (component != "response") {
    return(stats::delete.response(stats::terms(fit, component = component)))
  }
  parts <- list(fit$terms, fit$zi$terms, fit$dispersion$terms)
  parts <- lapply(Filter(Negate(is.null), parts), function(terms) {
    formula <- stats::formula(stats::delete.response(terms))
    call("(", formula[[length(formula)]])
  })
  stats::terms(make_formula(sum_of(parts), env = environment(fit$terms)))
}

# The call, its formula first and as evaluated: ref_grid() looks there for a transformation of the
# response. Other linear predictors than that of the mean know of none.
formula_first <- function(fit, component) {
  formula <- fit$formula
  if (component %in% c("zi", "disp")) formula <- stats::formula(component_terms(fit, component))
  rest <- as.list(fit$call)[-1L]
  if (component %in% c("zi", "disp")) rest$offset <- NULL
  as.call(c(fit$call[[1L]], formula = formula, rest[setdiff(names(rest), c("formula", "", "X"))]))
}

# emmeans takes offsets from the frame.
offset_frame <- function(fit, component) {
  if (component %in% c("zi", "disp")) fit$frame[integer()] else fit$frame
}

# Linear functions of the coefficients for the rows of a grid, estimates, covariance and df.
emm_basis.pp_fit <- function(object, trms, xlev, grid, component = "cond", mode, lmer.df, ddf,
                             vcov., options = NULL, ...) {
  component <- grid_component(object, component)
  if (component == "response") {
    return(response_basis(object, grid))
  }
  asked <- if (!missing(ddf)) ddf else if (!missing(lmer.df)) lmer.df else if (!missing(mode)) mode
  chosen <- basis_inference(object, component, asked, !missing(vcov.), options)
  V <- if (missing(vcov.)) chosen$vcov else given_covariance(vcov., object)
  misc <- emmeans::.std.link.labels(component_family(object, component), list())
  # Counterfactual means are functions of the coefficients no more: the least df of these.
  dffun <- function(k, dfargs) {
    if (length(k) == dfargs$p) dfargs$df(matrix(k, 1L)) else min(dfargs$df(diag(dfargs$p)))
  }
  attr(dffun, "mesg") <- chosen$label
  infinite <- rownames(chosen$vcov)[is.na(diag(chosen$vcov))]
  if (length(infinite)) V <- V[!is.na(diag(chosen$vcov)), !is.na(diag(chosen$vcov)), drop = FALSE]
  columns <- basis_columns(object, component, trms, xlev, grid, infinite)
  c(columns, list(V = V, dffun = dffun, dfargs = list(df = chosen$df, p = ncol(V)), misc = misc))
}

# X of the grid with all columns. Those that the fit dropped have no estimate, nor have those that
# run to infinity; `nbasis` is orthogonal to all that can be estimated.
basis_columns <- function(fit, component, trms, xlev, grid, infinite) {
  part <- model_part(fit, component)
  if (is.null(part)) part <- fit[c("X", "contrasts", "column_names", "coefficients")]
  frame <- stats::model.frame(trms, grid, na.action = stats::na.pass, xlev = xlev)
  X <- stats::model.matrix(trms, frame, contrasts.arg = part$contrasts)
  if (!is.null(part$column_names)) colnames(X) <- part$column_names
  bhat <- stats::setNames(rep(NA_real_, ncol(X)), colnames(X))
  bhat[names(part$coefficients)] <- part$coefficients
  lost <- which(is.na(bhat))
  nbasis <- NULL
  if (length(lost)) {
    whole <- stats::model.matrix(trms, fit$frame, contrasts.arg = part$contrasts)
    nbasis <- null_basis(whole, lost)
  }
  if (length(infinite)) {
    nbasis <- qr.Q(qr(cbind(nbasis, diag(ncol(X))[, names(bhat) %in% infinite, drop = FALSE])))
    bhat[infinite] <- NA_real_
  }
  list(
    X = X, bhat = unname(bhat), nbasis = if (is.null(nbasis)) matrix(NA_real_) else nbasis,
    model.matrix = root_with_terms(fit, part$X)
  )
}

# What emmeans projects onto submodels with.
root_with_terms <- function(fit, X) {
  if (!emmeans::get_emm_option("enable.submodel") || !ncol(X)) {
    return(NULL)
  }
  weights <- if (inherits(fit, "pp_glmm")) working_weights(fit) else fit$weights
  root <- root_of_design(X, weights)
  colnames(root) <- colnames(X)
  structure(root, assign = attr(X, "assign"))
}

component_family <- function(fit, component) {
  switch(component, zi = list(family = "zi", link = "logit"),
    disp = list(family = "disp", link = "log"), stats::family(fit)
  )
}

given_covariance <- function(vcov., fit) {
  V <- if (is.function(vcov.)) vcov.(fit) else vcov.
  as.matrix(V)
}

# list(vcov, df, label): the method's name, if there is a choice. `given`: there is a
# covariance of the user's own.
basis_inference <- function(fit, component, asked, given, options) {
  if (component != "cond") {
    V <- stats::vcov(fit, component = component)
    return(list(vcov = V, df = infinite_df))
  }
  if (!inherits(fit, "pp_lmm")) {
    found <- inference(fit)
    return(list(vcov = found$vcov, df = found$df))
  }
  mode <- emmeans_mode(fit, asked, options)
  if (mode == "kenward-roger" && given) {
    message("Kenward-Roger method can't be used with user-supplied covariances")
    mode <- "satterthwaite"
  }
  found <- if (mode == "kenward-roger") {
    restricted_inference(fit, is.null(asked))
  } else {
    inference(fit, if (mode == "asymptotic") "none" else mode)
  }
  list(
    vcov = found$vcov, df = found$df,
    label = if (found$ddf == "none") "asymptotic" else found$ddf
  )
}

# What the user asks for, here or by the options of emmeans that are made for lme4. Satterthwaite's
# method has no limit of rows: it costs little.
emmeans_mode <- function(fit, asked, options) {
  option <- emmeans::get_emm_option
  mode <- tolower(if (is.null(asked)) option("lmer.df") else asked)
  # "link" is what ggeffects asks of models that it does not know, "asymptotic" of lme4's.
  if (mode %in% c("none", "link")) mode <- "asymptotic"
  mode <- choose_option(mode, emmeans_modes, "mode")
  if (!is.null(options$df) && mode != "kenward-roger") {
    return("asymptotic")
  }
  if (is.null(asked) && mode == "kenward-roger" && fit$n > option("pbkrtest.limit")) {
    pp_inform("fit", c(
      i = "Degrees of freedom are Satterthwaite's: there are more rows than the emmeans option
           {.code pbkrtest.limit}.",
      ">" = "{.code lmer.df = \"kenward-roger\"} asks for those of Kenward and Roger."
    ))
    mode <- "satterthwaite"
  }
  if (is.null(asked) && mode == "kenward-roger" && option("disable.pbkrtest")) {
    mode <- "satterthwaite"
  }
  if (is.null(asked) && mode == "satterthwaite" && option("disable.lmerTest")) {
    mode <- if (option("disable.pbkrtest")) "asymptotic" else "kenward-roger"
  }
  mode
}

# By Kenward and Roger; of a fit by maximum likelihood from the same model by REML, as pbkrtest has
# it. Where the method cannot be used and was not asked for: Satterthwaite's.
restricted_inference <- function(fit, fall_back) {
  tryCatch(
    inference(restricted_fit(fit), "kenward-roger"),
    partialpool_error_argument = function(e) {
      if (!fall_back) stop(e)
      pp_inform("fit", c(
        i = "Degrees of freedom are Satterthwaite's: the method of Kenward and Roger cannot be used
             for this fit."
      ))
      inference(fit, "satterthwaite")
    }
  )
}
