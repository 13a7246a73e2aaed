# Simulation study: bias and coverage of the Laplace approximation, adaptive quadrature with 15
# nodes and penalised quasi-likelihood on small clusters of binary data, where they differ most.
#   Rscript bench/glmm-simulation.R [REPLICATES]
# Writes vignettes/glmm-simulation.csv, one row a design, method and parameter, which the vignette
# glmm.Rmd reads. 400 replicates (the default) take about two minutes.
#
# Model: logit P(y = 1) = -0.5 + x + 0.5 treated + b[cluster], x standard normal within clusters,
# every other cluster treated, b normal with the standard deviation of the design.

library(partialpool)

truth <- c("(Intercept)" = -0.5, x = 1, treated = 0.5)
designs <- expand.grid(sd = c(0.5, 1, 2), size = c(3, 8), clusters = c(50, 100))
methods <- list(
  Laplace = list(method = "laplace", nAGQ = 1),
  quadrature = list(method = "agq", nAGQ = 15),
  PQL = list(method = "pql", nAGQ = 1)
)

draw <- function(design) {
  cluster <- rep(seq_len(design$clusters), each = design$size)
  x <- stats::rnorm(length(cluster))
  treated <- cluster %% 2
  b <- stats::rnorm(design$clusters, 0, design$sd)
  eta <- truth[[1]] + truth[[2]] * x + truth[[3]] * treated + b[cluster]
  data.frame(y = stats::rbinom(length(eta), 1, stats::plogis(eta)), x, treated, cluster)
}

# Estimates of the fixed effects and the standard deviation, standard errors, and whether the fit
# converged
estimates <- function(data, settings) {
  # Singular fits and the like are counted, not told
  fit <- suppressMessages(glmm(
    y ~ x + treated + (1 | cluster), data, stats::binomial(), method = settings$method,
    nAGQ = settings$nAGQ, control = pp_control(check = FALSE)
  ))
  c(
    fixef(fit), sd = attr(VarCorr(fit)$cluster, "stddev")[[1]], se = sqrt(diag(vcov(fit))),
    converged = fit$convergence$status == "converged"
  )
}

study_design <- function(k, replicates) {
  design <- designs[k, ]
  set.seed(100 + k)
  data <- replicate(replicates, draw(design), simplify = FALSE)
  rows <- lapply(names(methods), function(name) {
    all <- vapply(data, estimates, numeric(8), settings = methods[[name]])
    summarise_study(design, name, all)
  })
  do.call(rbind, rows)
}

summarise_study <- function(design, method, all) {
  converged <- all["converged", ] == 1
  all <- all[, converged, drop = FALSE]
  true <- c(truth, sd = design$sd)
  rows <- lapply(names(true), function(name) {
    error <- all[name, ] - true[[name]]
    se <- if (name == "sd") NA else all[paste0("se.", name), ]
    data.frame(
      design, method, parameter = name, true = true[[name]], bias = mean(error),
      bias_error = stats::sd(error) / sqrt(length(error)), sd_estimates = stats::sd(error),
      mean_se = mean(se), coverage = mean(abs(error) < stats::qnorm(0.975) * se),
      zero = if (name == "sd") mean(all[name, ] < 1e-4) else NA,
      replicates = length(error), not_converged = sum(!converged)
    )
  })
  do.call(rbind, rows)
}

replicates <- commandArgs(trailingOnly = TRUE)
replicates <- if (length(replicates)) as.integer(replicates[1]) else 400L
began <- Sys.time()
study <- do.call(rbind, lapply(seq_len(nrow(designs)), study_design, replicates = replicates))
numbers <- vapply(study, is.double, NA)
study[numbers] <- lapply(study[numbers], signif, digits = 4)
utils::write.csv(study, "vignettes/glmm-simulation.csv", row.names = FALSE)
cat(format(Sys.time() - began), "for", nrow(designs) * length(methods) * replicates, "fits\n")
