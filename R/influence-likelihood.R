# Estimates of a generalised model without some rows, by a Newton step of all its parameters.
#
# Where the rows fall into clusters that share no random effect the log-likelihood is a sum over
# clusters. Without the rows S of a cluster c it changes by l(c without S) - l(c), whose exact
# gradient the engine gives: one step from the estimates is (H - H_S)^-1 g_S, with g and H those of
# the criterion's half and g_S, H_S the part that goes. A step of the penalised likelihood holds
# theta and the determinant of the Laplace approximation: of binary responses in small groups it is
# a third of the change, or half.

# Is the likelihood a sum over clusters that can be taken apart, with an optimum inside?
has_cluster_likelihood <- function(fit) {
  inherits(fit, "pp_glmm") && has_random(fit) && !any_kernel(fit) && !fit$REML &&
    fit$method %in% c("laplace", "agq", "ep") && !isTRUE(fit$convergence$singular) &&
    !length(fit$convergence$undetermined) && is.null(fit$convergence$separation) &&
    !is.null(outermost_factor(fit))
}

# A list, one element a set of rows: list(beta, covariance, theta, sigma), changes of the estimates
# but for the last two, or NULL where the rows left do not determine them.
likelihood_steps <- function(fit, sets, tick = no_tick) {
  parts <- likelihood_parts(fit)
  whole <- lapply(parts$rows, derivatives_of_rows, fit, parts)
  lapply(sets, function(set) {
    tick()
    touched <- unique(parts$codes[set])
    left <- lapply(parts$rows[touched], setdiff, set)
    less <- c(whole[touched], lapply(left, function(rows) {
      found <- derivatives_of_rows(rows, fit, parts)
      list(gradient = -found$gradient, hessian = -found$hessian)
    }))
    lost <- Reduce(`+`, lapply(less, `[[`, "hessian"))
    if (isTRUE(smallest_share_left(parts$hessian, lost) < 0.5)) {
      return(step_of_refit(fit, set))
    }
    step_of_likelihood(fit, parts$hessian - lost, Reduce(`+`, lapply(less, `[[`, "gradient")))
  })
}

likelihood_parts <- function(fit) {
  model <- glmm_model(fit)
  parameters <- unname(engine_parameters(fit))
  scale <- parameter_scale(fit)
  whole <- glmm_create(glmm_rows(fit), model)
  # The prior stays.
  model["prior_mean"] <- model["prior_precision"] <- list(NULL)
  clusters <- default_clusters(fit)
  list(
    model = model, parameters = parameters, scale = scale, anchors = anchor_rows(fit),
    hessian = half_hessian(whole, parameters, scale), codes = clusters$codes,
    rows = split(seq_len(fit$n), factor(clusters$codes, seq_along(clusters$levels)))
  )
}

# Of half the criterion of some rows alone.
derivatives_of_rows <- function(rows, fit, parts) {
  k <- length(parts$parameters)
  if (!length(rows)) {
    return(list(gradient = numeric(k), hessian = matrix(0, k, k)))
  }
  taken <- c(rows, setdiff(parts$anchors, rows))
  eng <- glmm_create(rows_alone(fit, taken, length(rows)), parts$model)
  list(
    gradient = glmm_gradient(eng, parts$parameters) / 2,
    hessian = half_hessian(eng, parts$parameters, parts$scale)
  )
}

# Of the information of all directions, the smallest share that is left. The smaller it is the
# farther the estimates move, and the less the likelihood there is as quadratic as here.
smallest_share_left <- function(hessian, lost) {
  root <- tryCatch(chol(hessian), error = function(e) NULL)
  if (is.null(root)) {
    return(NA_real_)
  }
  share <- backsolve(root, t(backsolve(root, lost, transpose = TRUE)), transpose = TRUE)
  1 - max(eigen(share, symmetric = TRUE, only.values = TRUE)$values)
}

step_of_refit <- function(fit, set) {
  found <- delete_by_refits(fit, list(set), fit$control$max_iterations, no_tick)[[1L]]
  if (!is.null(found$failure) || anyNA(found$beta) || anyNA(found$theta)) {
    return(NULL)
  }
  list(
    beta = found$beta - fit$coefficients, covariance = found$vcov, theta = found$theta,
    sigma = found$sigma
  )
}

step_of_likelihood <- function(fit, hessian, gradient) {
  unit <- 1 / sqrt(pmax(abs(diag(hessian)), 1e-300))
  e <- eigen(hessian * tcrossprod(unit), symmetric = TRUE)
  if (min(e$values) < 1e-9) {
    return(NULL)
  }
  U <- unit * e$vectors
  inverse <- U %*% (t(U) / e$values)
  change <- drop(inverse %*% gradient)
  at <- length(fit$theta) + seq_along(fit$coefficients)
  theta <- fit$theta + change[seq_along(fit$theta)]
  roles <- theta_roles(fit$random)
  theta[roles == "s"] <- pmax(theta[roles == "s"], 0)
  theta[roles == "r"] <- pmax(pmin(theta[roles == "r"], 1), -1)
  list(
    beta = change[at], covariance = inverse[at, at, drop = FALSE], theta = theta,
    sigma = sigma_after(fit, change)
  )
}

# sigma where a single parameter of dispersion moves.
sigma_after <- function(fit, change) {
  at <- match("disp.(Intercept)", names(engine_parameters(fit)))
  if (is.na(at) || is.na(fit$sigma)) {
    return(fit$sigma)
  }
  dispersion_sigma(fit$family, exp(fit$dispersion$coefficients[[1L]] + change[at]))
}
