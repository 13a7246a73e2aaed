# What broom.helpers asks of a model to label its coefficients and count its observations.

# Which name the coefficients have, and which once exponentiated: none that fits all, where there
# are several linear predictors.
model_get_coefficients_type.pp_glmm <- function(model) {
  if (has_components(model)) "generic" else coefficients_type(model)
}

coefficients_type <- function(model) {
  link <- model$family$link
  switch(traits_of(model$family)$response,
    proportion = switch(link,
      logit = "logistic", log = "relative_risk", cloglog = "prop_hazard", "generic"
    ),
    count = , "positive count" = if (link == "log") "poisson" else "generic",
    "generic"
  )
}

# Proportions for binomial responses; of a factor, whether it is not the first level.
model_get_response.pp_glmm <- function(model) unname(model$y)

model_get_weights.pp_fit <- function(model) {
  w <- if (inherits(model, "pp_glmm")) prior_weights(model) else model$weights
  if (is.null(w)) rep(1, model$n) else w
}

# Observations (weighted, for binomial responses trials), events and exposure of each coefficient.
model_get_n.pp_glmm <- function(model) {
  share <- broom.helpers::model_compute_terms_contributions(model)
  if (is.null(share)) {
    return(NULL)
  }
  w <- prior_weights(model)
  table <- data.frame(term = colnames(share), n_obs = colSums(share * w), row.names = NULL)
  whole <- list(N_obs = sum(w))
  type <- coefficients_type(model)
  if (type %in% c("logistic", "poisson")) {
    table$n_event <- unname(colSums(share * model$y * w))
    whole$N_event <- sum(model$y * w)
  }
  if (type == "poisson") {
    time <- if (is.null(model$offset)) rep(1, model$n) else exp(model$offset)
    table$exposure <- unname(colSums(share * time * w))
    whole$Exposure <- sum(time * w)
  }
  table <- as_tidy_table(table)
  for (name in names(whole)) attr(table, name) <- whole[[name]]
  table
}
