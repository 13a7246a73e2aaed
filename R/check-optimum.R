# Checks of the optimum: was it found, and is it a minimum with a curvature?

check_optimum <- function(fit) {
  convergence <- fit$convergence
  status <- convergence$status
  if (identical(status, "not fitted")) {
    return(finding("optimum", "note", "evaluated at given parameters, not fitted"))
  }
  if (!is.null(convergence$separation)) {
    return(NULL)
  }
  if (is.null(status) || status == "converged") {
    how <- if (length(convergence$evaluations) && length(convergence$decrement)) {
      note <- convergence_note(list(convergence = convergence, random = list(1)))
      sub("^Converged: ", "", note)
    }
    how <- toString(c(how, gradient_text(convergence)))
    return(check_curvature(fit, if (nzchar(how)) paste0("found: ", how) else "found"))
  }
  finding("optimum", "problem", paste0("not reached: ", status),
    if (mean_leaves_range_of(fit)) {
      paste0("use a link that keeps the mean in its range, such as ", safe_link(fit$family))
    } else if (status == "iteration limit") {
      "raise max_iterations in pp_control(), or simplify the random terms"
    } else {
      "simplify the random terms"
    })
}

# A Gaussian fit has no link.
mean_leaves_range_of <- function(fit) !is.null(fit$family) && mean_leaves_range(fit)

gradient_text <- function(convergence) {
  size <- convergence$scaled_gradient
  if (is.null(size) || is.na(size)) {
    return(NULL)
  }
  paste("scaled gradient", if (size < 1e-6) "below 1e-06" else format(size, digits = 1L))
}

check_curvature <- function(fit, found) {
  curvature <- smallest_curvature(fit)
  if (is.null(curvature)) {
    return(finding("optimum", "ok", found))
  }
  if (curvature <= 0) {
    return(finding("optimum", "problem", paste0(found, "; but the criterion bends downwards there"),
      "simplify the random terms, or fit again with another start"))
  }
  text <- paste0(found, ", curvature ", format(curvature, digits = 1L))
  if (curvature < 1e-6) {
    return(finding("optimum", "note", paste0(text, ": a direction is nearly flat"),
      "look at profile(), and think of a simpler model"))
  }
  finding("optimum", "ok", text)
}

# The smallest eigenvalue of the Hessian in units of standard errors; not positive where it is no
# minimum; NULL on the boundary, without parameters and where it would be dear.
smallest_curvature <- function(fit) {
  if (inherits(fit, "pp_kernel_fit") || isTRUE(fit$convergence$singular) || !length(fit$theta) ||
      length(fit$convergence$undetermined)) {
    return(NULL)
  }
  V <- if (inherits(fit, "pp_glmm")) fit$vcov_full else theta_covariance(fit)
  if (is.null(V)) {
    return(0)
  }
  known <- is.finite(diag(V))
  V <- V[known, known, drop = FALSE]
  if (!ncol(V) || ncol(V) > 500L || anyNA(V) || any(diag(V) <= 0)) {
    return(NULL)
  }
  1 / eigen(stats::cov2cor(V), symmetric = TRUE, only.values = TRUE)$values[1L]
}

# The inverse of the Hessian of the criterion by theta, from central differences of its exact
# gradient; NULL where it is not positive definite.
theta_covariance <- function(fit) {
  theta <- unname(fit$theta)
  k <- length(theta)
  if (k > 30L) {
    return(matrix(NA_real_, k, k))
  }
  eng <- engine(fit)
  H <- hessian_by_gradients(
    function(at) engine_theta_gradient(eng, at), theta, 1e-4 * pmax(abs(theta), 0.01)
  )
  tryCatch(spd_inverse(H), error = function(e) NULL, warning = function(w) NULL)
}

# As other packages ask for it. The Newton decrement is what the criterion could still gain; its
# root is the size of the gradient in units of the standard errors, which is what lme4's relative
# gradient is compared with.
convergence_flag <- function(fit) {
  left <- sqrt(max(fit$convergence$decrement, 0))
  structure(identical(fit$convergence$status, "converged"), gradient = left)
}
