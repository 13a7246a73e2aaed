# How near expectation propagation comes to the exact likelihood, and what that does to estimates.
#   Rscript bench/ep-accuracy.R [likelihood] [bias] [importance]
# Three studies, all of them if none is named; the vignettes read their results:
#   likelihood  vignettes/ep-likelihood.csv: error of the log-likelihood at the true parameters, by
#               the rows of a cluster and the standard deviation between clusters
#   bias        vignettes/ep-simulation.csv: estimates in small clusters and in crossed designs, 200
#               data sets each
#   importance  vignettes/ep-importance.csv: EP with a kernel against importance sampling
# They take a few seconds, two minutes and one minute.

library(partialpool)

# ---- the log-likelihood of clusters -------------------------------------------------------------

# logit P(y = 1) = b[cluster], b normal. Errors per 100 clusters; 2000 are drawn.
likelihood_errors <- function(clusters = 2000) {
  cells <- expand.grid(sd = c(0.5, 1, 2, 4), size = c(2, 3, 5, 10, 20))
  rows <- lapply(seq_len(nrow(cells)), function(k) {
    set.seed(k)
    cell <- cells[k, ]
    cluster <- rep(seq_len(clusters), each = cell$size)
    eta <- stats::rnorm(clusters, 0, cell$sd)[cluster]
    data <- data.frame(cluster, y = stats::rbinom(length(eta), 1, stats::plogis(eta)))
    d <- design(y ~ 1 + (1 | cluster), data, family = stats::binomial())
    # Per 100 clusters, of the parameters that drew the data
    value <- function(...) -objective(d, ...)$value(c(cell$sd, 0)) / 2 * 100 / clusters
    exact <- value(method = "agq", nAGQ = 61)
    data.frame(
      cell, exact, EP = value(method = "ep") - exact, Laplace = value(method = "laplace") - exact,
      quadrature_5 = value(method = "agq", nAGQ = 5) - exact,
      # Of the value called exact
      change = value(method = "agq", nAGQ = 41) - exact
    )
  })
  do.call(rbind, rows)
}

# ---- bias of estimates --------------------------------------------------------------------------

truth <- c("(Intercept)" = -0.5, x = 1)
cluster_designs <- data.frame(kind = "clusters", expand.grid(sd = c(1, 2), rows = c(2, 3, 5)))
crossed_designs <- data.frame(kind = "crossed", expand.grid(sd = c(1, 2), rows = 4))

# 200 clusters of some rows; or 100 subjects, each with four of 50 items, 8 rows an item
draw <- function(design) {
  if (design$kind == "clusters") {
    subject <- rep(1:200, each = design$rows)
    item <- NULL
  } else {
    subject <- rep(1:100, each = design$rows)
    item <- as.vector(replicate(8, sample(50)))
    # 50 items in a row are dealt to 12.5 subjects: one subject may have an item twice
  }
  x <- stats::rnorm(length(subject))
  eta <- truth[[1]] + truth[[2]] * x + stats::rnorm(200, 0, design$sd)[subject]
  if (!is.null(item)) eta <- eta + stats::rnorm(50, 0, design$sd)[item]
  data <- data.frame(y = stats::rbinom(length(eta), 1, stats::plogis(eta)), x, subject)
  data$item <- item
  data
}

estimates <- function(data, settings) {
  formula <- if (is.null(data$item)) y ~ x + (1 | subject) else y ~ x + (1 | subject) + (1 | item)
  # Singular fits and the like are counted, not told
  fit <- suppressMessages(glmm(
    formula, data, stats::binomial(), method = settings$method, nAGQ = settings$nAGQ,
    control = pp_control(check = FALSE)
  ))
  sds <- vapply(VarCorr(fit), function(v) attr(v, "stddev")[[1]], 0)
  names(sds) <- paste0("sd_", names(sds))
  c(
    fixef(fit), sds, se = sqrt(diag(vcov(fit))),
    converged = fit$convergence$status == "converged"
  )
}

methods <- list(
  EP = list(method = "ep", nAGQ = 1), Laplace = list(method = "laplace", nAGQ = 1),
  quadrature = list(method = "agq", nAGQ = 25)
)

study_design <- function(k, designs, replicates) {
  design <- designs[k, ]
  set.seed(200 + k)
  data <- replicate(replicates, draw(design), simplify = FALSE)
  used <- methods[if (design$kind == "crossed") c("EP", "Laplace") else names(methods)]
  rows <- lapply(names(used), function(name) {
    all <- sapply(data, estimates, settings = used[[name]])
    summarise_study(design, name, all)
  })
  do.call(rbind, rows)
}

summarise_study <- function(design, method, all) {
  converged <- all["converged", ] == 1
  all <- all[, converged, drop = FALSE]
  sds <- grep("^sd_", rownames(all), value = TRUE)
  true <- c(truth, stats::setNames(rep(design$sd, length(sds)), sds))
  rows <- lapply(names(true), function(name) {
    error <- all[name, ] - true[[name]]
    se <- if (name %in% sds) NA else all[paste0("se.", name), ]
    data.frame(
      design, method, parameter = name, true = true[[name]], bias = mean(error),
      bias_error = stats::sd(error) / sqrt(length(error)), sd_estimates = stats::sd(error),
      coverage = mean(abs(error) < stats::qnorm(0.975) * se),
      zero = if (name %in% sds) mean(all[name, ] < 1e-4) else NA,
      replicates = length(error), not_converged = sum(!converged)
    )
  })
  do.call(rbind, rows)
}

bias_study <- function(replicates = 200) {
  designs <- rbind(cluster_designs, crossed_designs)
  do.call(rbind, lapply(seq_len(nrow(designs)), study_design, designs, replicates))
}

# ---- importance sampling ------------------------------------------------------------------------

# The likelihood is the mean of p(y | z) over the prior of z. Proposals are from the normal
# distribution that EP takes for the posterior, every tenth from the prior: the weights are bounded
# so. In the coordinates z = prior mean + F u, u standard normal, with B the precision of u by EP.
importance <- function(fit, center, root, log_density, draws = 2e5) {
  tau <- fit$sites$tau
  nu <- fit$sites$nu
  B <- diag(ncol(root)) + t(root) %*% (tau * root)
  R <- chol(B)
  mode <- backsolve(R, backsolve(R, t(root) %*% (nu - tau * center), transpose = TRUE))

  r <- ncol(root)
  batch <- 10000
  log_weights <- unlist(lapply(seq_len(draws / batch), function(b) {
    u <- matrix(stats::rnorm(r * batch), r)
    from_ep <- seq_len(0.9 * batch)
    u[, from_ep] <- drop(mode) + backsolve(R, u[, from_ep])
    prior <- -colSums(u^2) / 2
    ep <- -colSums((R %*% (u - drop(mode)))^2) / 2 + sum(log(diag(R)))
    largest <- pmax(prior, ep)
    mixture <- largest + log(0.9 * exp(ep - largest) + 0.1 * exp(prior - largest))
    colSums(log_density(center + root %*% u)) + prior - mixture
  }))
  weight <- exp(log_weights - max(log_weights))
  c(
    value = max(log_weights) + log(mean(weight)),
    error = stats::sd(weight) / mean(weight) / sqrt(draws)
  )
}

# Laplace's approximation, with differences for the derivatives of the log density
laplace <- function(center, root, log_density, h = 1e-4) {
  joint <- function(u) sum(log_density(center + root %*% u)) - sum(u^2) / 2
  u <- numeric(ncol(root))
  for (iteration in 1:50) {
    eta <- center + root %*% u
    l <- cbind(log_density(eta - h), log_density(eta), log_density(eta + h))
    slope <- (l[, 3] - l[, 1]) / (2 * h)
    B <- diag(length(u)) + t(root) %*% (-drop(l %*% c(1, -2, 1)) / h^2 * root)
    step <- drop(solve(B, t(root) %*% slope - u))
    while (joint(u + step) < joint(u) - 1e-10) step <- step / 2
    u <- u + step
    if (max(abs(step)) < 1e-8) break
  }
  joint(u) - as.numeric(determinant(B)$modulus) / 2
}

# F with F F' = v0 K + v1 I
prior_root <- function(fit) {
  spectrum <- fit$kernel[c("vectors", "values")]
  K <- spectrum$vectors %*% (spectrum$values * t(spectrum$vectors))
  e <- eigen(fit$scale * ((1 - fit$delta) * K + fit$delta * diag(fit$n)), symmetric = TRUE)
  kept <- e$values > 1e-12 * e$values[1]
  e$vectors[, kept] * rep(sqrt(e$values[kept]), each = fit$n)
}

importance_study <- function() {
  set.seed(7)
  n <- 30
  t <- seq_len(n) / n
  smooth <- exp(-outer(t, t, "-")^2 / 0.18)
  rough <- exp(-abs(outer(t, t, "-")) / 0.1)
  genotypes <- scale(matrix(stats::rbinom(n * 60, 2, 0.4), n))
  related <- tcrossprod(genotypes) / 60
  latent <- function(K, s) drop(t(chol(K + 1e-10 * diag(n))) %*% stats::rnorm(n)) * sqrt(s)
  binary <- function(K, s) stats::rbinom(n, 1, stats::plogis(latent(K, s)))
  subject <- rep(1:10, each = 3)
  item <- rep(1:6, 5)
  crossed <- outer(subject, subject, "==") + outer(item, item, "==")
  trials <- rep(c(5, 20, 100), 10)

  cases <- list()
  add <- function(name, y, K, family, scale, delta, trials = NULL) {
    cases[[length(cases) + 1L]] <<- list(
      name = name, y = y, K = K, family = family, scale = scale, delta = delta, trials = trials
    )
  }
  for (s in c(1, 4, 16)) {
    add("binary, smooth kernel", binary(smooth, s), smooth, stats::binomial(), s, 0)
    add("binary, rough kernel", binary(rough, s), rough, stats::binomial(), s, 0)
    add("binary, relationship", binary(related, s), related, stats::binomial(), s, 0)
    add("binary, 10 subjects x 6 items", binary(crossed, s), crossed, stats::binomial(), s, 0)
  }
  for (s in c(1, 4)) {
    y <- stats::rbinom(n, 1, stats::pnorm(latent(related, s)))
    add("binary, relationship, probit", y, related, stats::binomial("probit"), s, 0)
    y <- stats::rbinom(n, trials, stats::plogis(latent(related, s)))
    add("binomial, 5 to 100 trials", y, related, stats::binomial(), s, 0.2, trials)
    y <- stats::rpois(n, exp(latent(related, s / 4)))
    add("Poisson", y, related, stats::poisson(), s / 4, 0.2)
    y <- stats::rgamma(n, 2, scale = exp(latent(related, s / 4)) / 2)
    add("Gamma", y, related, stats::Gamma("log"), s / 4, 0.2)
  }
  do.call(rbind, lapply(cases, importance_case))
}

importance_case <- function(case) {
  y <- case$y
  k <- case$trials
  at <- list(beta = 0, scale = case$scale, delta = case$delta)
  if (case$family$family == "Gamma") at$dispersion <- 0.5
  fit <- kernel_glmm(
    y, NULL, kernel(case$K), case$family, trials = k, start = at, fix = list(), fit = FALSE
  )
  log_density <- function(eta) {
    mu <- case$family$linkinv(eta)
    # The columns of eta share the response
    switch(case$family$family,
      binomial = stats::dbinom(y, if (is.null(k)) 1 else k, mu, log = TRUE),
      poisson = stats::dpois(y, mu, log = TRUE),
      Gamma = stats::dgamma(y, 2, scale = mu / 2, log = TRUE)
    ) |> matrix(nrow(eta))
  }
  center <- drop(fit$X %*% fit$coefficients)
  root <- prior_root(fit)
  exact <- importance(fit, center, root, log_density)
  data.frame(
    case = case$name, n = length(y), scale = case$scale, delta = case$delta,
    logLik = as.numeric(logLik(fit)), importance = exact[["value"]],
    EP = as.numeric(logLik(fit)) - exact[["value"]],
    Laplace = laplace(center, root, log_density) - exact[["value"]],
    sampling_error = exact[["error"]]
  )
}

# ---- running ------------------------------------------------------------------------------------

studies <- list(
  likelihood = list(run = likelihood_errors, file = "vignettes/ep-likelihood.csv"),
  bias = list(run = bias_study, file = "vignettes/ep-simulation.csv"),
  importance = list(run = importance_study, file = "vignettes/ep-importance.csv")
)
chosen <- commandArgs(trailingOnly = TRUE)
for (name in if (length(chosen)) chosen else names(studies)) {
  began <- Sys.time()
  study <- studies[[name]]$run()
  numbers <- names(study)[vapply(study, is.double, NA)]
  values <- intersect(numbers, c("logLik", "importance", "exact"))
  study[values] <- lapply(study[values], round, digits = 6)
  others <- setdiff(numbers, values)
  study[others] <- lapply(study[others], signif, digits = 4)
  utils::write.csv(study, studies[[name]]$file, row.names = FALSE)
  cat(name, format(Sys.time() - began), "\n")
}
