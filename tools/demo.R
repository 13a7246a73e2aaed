# make demo: the package's main job on real input. Reads 100,000 rows from a gzipped CSV, fits the
# model that was published with them, and sets each number beside the published one; then the
# classical sleepstudy fit, a matrix of features and two generalised models; a kernel model and a
# scan; then figures and reports from the package's R Markdown template. Run from the root of the
# repository.

suppressPackageStartupMessages(library(partialpool))
source("tools/figures.R")
options(width = 100)

output <- "demo-output"

main <- function() {
  dir.create(output, showWarnings = FALSE)
  finn <- demonstrate_finn("data/finn_demo.csv.gz")
  sleep <- demonstrate_sleepstudy()
  features <- demonstrate_features("tests/testthat/fixtures/B_naplib_seed0.csv")
  herds <- demonstrate_herds()
  demonstrate_probe("tests/testthat/fixtures/A_probe.csv")
  demonstrate_kernel("vignettes/kernels-example.csv")
  demonstrate_scan()
  heading("Figures and reports")
  files <- c(draw_figures(finn, sleep, features, herds, output), knit_reports(output))
  cat("Written:\n", paste0("  ", files, "\n"), sep = "")
}

heading <- function(text) cat("\n", text, "\n", strrep("=", nchar(text)), "\n\n", sep = "")

seconds <- function(expression) {
  start <- Sys.time()
  force(expression)
  as.numeric(Sys.time() - start, units = "secs")
}

# ---- 100,000 rows -------------------------------------------------------------------------------

finn_formula <- measured_variable ~ categorical_factor_A + categorical_factor_B +
  continous_factor_A + categorical_factor_A:continous_factor_A +
  (1 | random_effect_A) + (1 | random_effect_A:nested_random_effect_A)

# The table of the published page, to the two decimals printed there, in its order
finn_published <- data.frame(
  factor = c(
    "categorical_factor_A", "categorical_factor_B", "continous_factor_A",
    "categorical_factor_A:continous_factor_A", "(Intercept)"
  ),
  p = c("0.00", "0.17", "0.00", "0.36", "0.00"),
  effect = c("0.82", "-0.02", "0.04", "-0.01", "0.10"),
  se = c("0.02", "0.02", "0.01", "0.02", "0.01")
)

demonstrate_finn <- function(file) {
  heading("A mixed model on 100,000 rows")
  reading <- seconds({
    data <- utils::read.csv(file, sep = ";")
    categorical <- setdiff(names(data), c("measured_variable", "continous_factor_A"))
    data[categorical] <- lapply(data[categorical], factor)
  })
  fitting <- seconds(fit <- lmm(finn_formula, data))
  cat(sprintf(
    "%s: %s rows read in %.2f s, model fitted in %.3f s (together %.2f s)\n\n",
    file, format(nrow(data), big.mark = ","), reading, fitting, reading + fitting
  ))
  print(fit)

  heading("Its tests by one call, in the order of the published table, beside the published digits")
  # The type-III table of the page has the coding of the fit: R's treatment contrasts
  result <- run_glmm(
    utils::read.csv(file, sep = ";"), names(data),
    ifelse(names(data) %in% categorical, "categorical", "continuous"), finn_formula
  )
  table <- result[c("p", "effects", "std_errors")]
  shown <- sprintf("%.2f", unlist(table))
  print_table(
    factor = result$factors, chisq = sprintf("%.4f", result$scores), df = result$df,
    p = format.pval(unname(result$p), digits = 5, eps = 1e-300),
    effect = sprintf("%.6f", result$effects), se = sprintf("%.6f", result$std_errors),
    published = do.call(sprintf, c("%s %5s %s", finn_published[c("p", "effect", "se")]))
  )
  agree <- sum(shown == unlist(finn_published[c("p", "effect", "se")]))
  cat(sprintf("\n%d of %d published values agree to the digits printed.\n", agree, length(shown)))
  cat(sprintf("REML criterion %.6f\n\nVariance components:\n", fit$criterion))
  print(VarCorr(fit))
  if (is_singular(fit)) {
    cat("Both groupings were shuffled when the data were made: their variances are zero.\n")
  }
  other_tests(fit, data)
  fit
}

other_tests <- function(fit, data) {
  heading("The same under sum-to-zero contrasts, and tests that do not depend on the coding")
  # That the fit is singular has been said
  sums <- suppressMessages(lmm(finn_formula, data, contrasts = list(
    categorical_factor_A = contr.sum, categorical_factor_B = contr.sum
  )))
  chisq <- function(fit, term, ...) anova(fit, ..., test = "Chisq")[term, "Chisq"]
  a <- "categorical_factor_A"
  x <- "continous_factor_A"
  print_comparison(
    "chi2 of continous_factor_A, contr.sum" =
      c(chisq(sums, x, type = 3, coding = "fitted"), 13.573535725),
    "chi2 of (Intercept), contr.sum" =
      c(chisq(sums, "(Intercept)", type = 3, coding = "fitted"), 3704.494560),
    "effect of continous_factor_A, contr.sum" = c(fixef(sums)[[x]], .02973804404),
    "chi2 of continous_factor_A, type III of any coding" =
      c(chisq(fit, x, type = 3), 13.573535725),
    "chi2 of categorical_factor_A, type II" = c(chisq(fit, a, type = 2), 2501.54308),
    "chi2 of continous_factor_A, type II" = c(chisq(fit, x, type = 2), 13.59631)
  )
}

# ---- sleepstudy ---------------------------------------------------------------------------------

demonstrate_sleepstudy <- function() {
  heading("Reaction times under sleep restriction")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  print(summary(fit))
  by_ml <- update(fit, REML = FALSE)

  heading("Beside reference values")
  parts <- components(fit)
  sigma_squared <- sigma(fit)^2
  covariance <- VarCorr(fit)$Subject
  ml_covariance <- VarCorr(by_ml)$Subject
  standard_errors <- sqrt(diag(as.matrix(vcov(fit))))
  # Fixed effects, then the entries of the covariance matrix, then the residual variance
  full_errors <- sqrt(diag(as.matrix(vcov(fit, full = TRUE))))
  modes <- as.matrix(ranef(fit)$Subject)
  print_comparison(
    "sum of the random-effects design matrix" = c(sum(parts$Z), 990),
    "REML log-likelihood" = c(as.numeric(logLik(fit)), -871.814135979),
    "REML criterion without its constant" =
      c(fit$criterion - (nobs(fit) - 2) * log(2 * pi), 1416.48615),
    "theta 1" = c(fit$theta[[1]], .9667329532),
    "theta 2" = c(fit$theta[[2]], .0151690529),
    "theta 3" = c(fit$theta[[3]], .2309095951),
    "(Intercept)" = c(fixef(fit)[[1]], 251.4051048485),
    "Days" = c(fixef(fit)[[2]], 10.4672859596),
    "standard error of (Intercept)" = c(standard_errors[[1]], 6.82455653791),
    "standard error of Days" = c(standard_errors[[2]], 1.54578889769),
    "variance of intercepts" = c(covariance[1, 1], 612.089940),
    "covariance" = c(covariance[2, 1], 9.604332),
    "variance of slopes" = c(covariance[2, 2], 35.071661),
    "residual variance" = c(sigma_squared, 654.941026891),
    "intercept of subject 308" = c(modes[1, 1], 2.25856548),
    "slope of subject 308" = c(modes[1, 2], 9.19897189),
    "p of Days (17 df)" = c(coef(summary(fit))["Days", 5], 3.2638e-6),
    "ML log-likelihood" = c(as.numeric(logLik(by_ml)), -875.969672232),
    "ML variance of intercepts" = c(ml_covariance[1, 1], 565.515368),
    "ML covariance" = c(ml_covariance[2, 1], 11.055428),
    "ML variance of slopes" = c(ml_covariance[2, 2], 32.682197),
    "standard error of the variance of intercepts" = c(full_errors[[3]], 288.738),
    "standard error of the covariance" = c(full_errors[[4]], 46.5501),
    "standard error of the variance of slopes" = c(full_errors[[5]], 14.7801),
    "standard error of the residual variance" = c(full_errors[[6]], 77.1838)
  )
  fit
}

# ---- a matrix of features ------------------------------------------------------------------------

demonstrate_features <- function(file) {
  heading("A matrix of features, rows grouped by subject")
  data <- utils::read.csv(file)
  X <- as.matrix(data[c("feature_1", "feature_2")])
  names <- c("Feature 1", "Feature 2", "Subject", "Output Variable")
  fit <- lmm(X, data$output, random_effect = data$subject, varnames = names)
  print(summary(fit))
  plain <- lmm(X, data$output, varnames = names[-3])
  cat("\nWithout the groups the first effect has the wrong sign:\n")
  print(model_params(plain))

  heading("Beside reference values")
  # lme4 and lmerTest, theta polished by Newton's method
  full <- model_params(fit, full = TRUE)
  normal <- model_params(fit, ddf = "none")
  print_comparison(
    "Feature 1" = c(fit$params[[2]], 1.04726007327352),
    "Feature 2" = c(fit$params[[3]], -2.02333659588376),
    "standard error of Feature 1" = c(full$std.error[2], .0534062796010811),
    "variance between subjects" = c(full$estimate[4], 10.8164800240473),
    "its standard error" = c(full$std.error[4], 7.66901625364857),
    "degrees of freedom of the intercept" = c(full$df[1], 4.04748760172448),
    "p of the intercept" = c(fit$pvalues[[1]], .0488093092597849),
    "Feature 1, lower limit by z" = c(normal$conf.low[1], .942585688707126),
    "R-squared" = c(fit$rsquared, .979936938857593),
    "REML log-likelihood" = c(logLik(fit), -22.7317562681735),
    "without groups: Feature 1" = c(plain$params[[2]], -.971510077415414)
  )
  list(grouped = fit, plain = plain)
}

# ---- generalised models -------------------------------------------------------------------------

demonstrate_herds <- function() {
  heading("Cases of a disease in herds: a binomial model")
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  print(summary(fit))
  nodes <- update(fit, nAGQ = 25)

  # lme4 with a tightened optimiser; the log-likelihood of 25 nodes is GLMMadaptive's
  heading("Beside reference values")
  beta <- unname(fixef(fit))
  beta_25 <- unname(fixef(nodes))
  errors <- standard_errors(fit)
  print_comparison(
    "Laplace log-likelihood" = c(logLik(fit), -92.0262818648),
    "(Intercept)" = c(beta[1], -1.39853206),
    "period 2" = c(beta[2], -.992332714),
    "period 3" = c(beta[3], -1.12867212),
    "period 4" = c(beta[4], -1.58031389),
    "standard error of (Intercept)" = c(errors[1], .232472053),
    "standard error of period 4" = c(errors[4], .427436591),
    "standard deviation of herds" = c(fit$theta[[1]], .642261475),
    "log-likelihood, 25 nodes" = c(logLik(nodes), -91.983369043),
    "(Intercept), 25 nodes" = c(beta_25[1], -1.39923043),
    "standard deviation of herds, 25 nodes" = c(nodes$theta[[1]], .647518476)
  )
  fit
}

demonstrate_probe <- function(file) {
  heading("A binomial and a Poisson model of 600 rows, by Laplace's approximation and 25 nodes")
  data <- utils::read.csv(file)
  data[c("A", "B", "g")] <- lapply(data[c("A", "B", "g")], factor)
  fitting <- seconds({
    cases <- glmm(yb ~ A + B + x + A:x + (1 | g), data, binomial())
    counts <- glmm(yp ~ A + B + x + A:x + (1 | g), data, poisson())
    cases_25 <- update(cases, nAGQ = 25)
    counts_25 <- update(counts, nAGQ = 25)
  })
  cat(sprintf("Four fits in %.3f s\n\n", fitting))
  # The reference values are of a separate program for adaptive quadrature, with all constants
  print_comparison(
    "binomial, Laplace: log-likelihood" = c(logLik(cases), -380.986016177),
    "binomial, Laplace: A" = c(fixef(cases)[["A1"]], .368208867924),
    "binomial, Laplace: standard deviation" = c(cases$theta[[1]], .431054804894),
    "binomial, 25 nodes: log-likelihood" = c(logLik(cases_25), -380.961101607),
    "binomial, 25 nodes: A" = c(fixef(cases_25)[["A1"]], .368095262687),
    "binomial, 25 nodes: standard deviation" = c(cases_25$theta[[1]], .432569214959),
    "Poisson, Laplace: log-likelihood" = c(logLik(counts), -978.121910945),
    "Poisson, 25 nodes: log-likelihood" = c(logLik(counts_25), -978.115341368),
    "Poisson, 25 nodes: A" = c(fixef(counts_25)[["A1"]], .439203408675),
    "Poisson, 25 nodes: its standard error" = c(standard_errors(counts_25)[2], .0628436219933),
    "Poisson, 25 nodes: standard deviation" = c(counts_25$theta[[1]], .312249806634)
  )
}

# ---- kernels ------------------------------------------------------------------------------------

demonstrate_kernel <- function(file) {
  heading("A binomial model with a kernel, by expectation propagation")
  data <- utils::read.csv(file)
  X <- as.matrix(data[c("x1", "x2")])
  K <- kernel(as.matrix(data[paste0("K", 1:10)]), ids = 1:10)
  y <- data$successes
  start <- list(beta = c(0, 0), scale = 1, delta = 0.5)
  before <- kernel_glmm(y, X, K, binomial(), data$trials, start = start, fit = FALSE)
  fit <- kernel_glmm(y, X, K, binomial(), data$trials)
  print(fit)
  cat(sprintf(
    "\nThe manual of glimix-core prints -16.40 before and -13.43 after the fit, here: %.2f, %.2f\n",
    logLik(before), logLik(fit)
  ))

  heading("Beside reference values")
  # The example of that manual, by a separate program for expectation propagation
  slope <- unname(gradient(before))
  moments <- latent(before)
  print_comparison(
    "log-likelihood before" = c(logLik(before), -16.40319566832727),
    "gradient by beta 1" = c(slope[1], .09007964341598332),
    "gradient by beta 2" = c(slope[2], .2854607673310101),
    "gradient by log(scale)" = c(slope[3], 2.702531998692298),
    "gradient by logit(delta)" = c(slope[4], -1.321581413395374),
    "posterior mean of sample 1" = c(moments$mean[[1]], 9.318550546750162),
    "posterior variance of sample 1" = c(moments$covariance[1, 1], 14.312605262401668),
    "log-likelihood after" = c(logLik(fit), -13.4265741862),
    "beta 1" = c(fixef(fit)[[1]], 1.45368),
    "beta 2" = c(fixef(fit)[[2]], 4.95298),
    "scale" = c(fit$scale, 10.8126)
  )
}

demonstrate_scan <- function() {
  heading("A scan of 5,000 markers in 500 samples, four of them with an effect")
  set.seed(1)
  markers <- matrix(
    stats::rbinom(500 * 5000, 2, rep(stats::runif(5000, 0.1, 0.9), each = 500)), 500,
    dimnames = list(NULL, sprintf("m%04d", seq_len(5000)))
  )
  standard <- scale(markers)
  causal <- c(700, 1900, 3100, 4300)
  y <- drop(standard[, causal] %*% c(0.5, -0.5, 0.5, 0.5)) +
    drop(standard %*% stats::rnorm(5000)) / sqrt(5000) + stats::rnorm(500)
  decomposing <- seconds(K <- kernel(factor = standard / sqrt(5000)))
  fitting <- seconds(fit <- kernel_lmm(y, NULL, K))
  scanning <- seconds(scan <- marker_scan(fit, markers))
  cat(sprintf(
    "Kernel decomposed in %.2f s, model fitted in %.4f s, markers scanned in %.2f s\n\n",
    decomposing, fitting, scanning
  ))
  print(summary(scan, n = 6))

  # Each by generalised least squares with dense matrices
  root <- t(chol(fit$scale * ((1 - fit$delta) * tcrossprod(standard) / 5000 +
    fit$delta * diag(500))))
  by_hand <- function(marker) {
    X <- forwardsolve(root, cbind(1, markers[, marker]))
    coef(summary(stats::lm(forwardsolve(root, y) ~ 0 + X)))[2, ]
  }
  heading("Beside generalised least squares, marker by marker")
  values <- lapply(causal, function(marker) {
    exact <- by_hand(marker)
    list(c(scan$effect[marker], exact[[1]]), c(scan$se[marker], exact[[2]]))
  })
  names <- paste0(c("effect of ", "standard error of "), rep(colnames(markers)[causal], each = 2))
  do.call(print_comparison, stats::setNames(unlist(values, recursive = FALSE), names))
}

standard_errors <- function(fit) unname(sqrt(diag(vcov(fit))))

# ---- printing and the report --------------------------------------------------------------------

print_table <- function(...) print(data.frame(...), row.names = FALSE)

# Pairs of our value and the reference value
print_comparison <- function(...) {
  pairs <- list(...)
  ours <- vapply(pairs, `[[`, 0, 1)
  reference <- vapply(pairs, `[[`, 0, 2)
  print_table(
    quantity = format(names(pairs)), value = formatC(ours, digits = 10, format = "g"),
    reference = formatC(reference, digits = 10, format = "g"),
    "rel. difference" = formatC(abs(ours / reference - 1), digits = 1, format = "e"),
    check.names = FALSE
  )
}

# The package's template as it stands, and with data, formula and family of one's own.
knit_reports <- function(output) {
  if (!requireNamespace("rmarkdown", quietly = TRUE) || !rmarkdown::pandoc_available("1.12.3")) {
    cat("No HTML reports: they need the R package rmarkdown and pandoc.\n")
    return(character())
  }
  template <- system.file(
    "rmarkdown", "templates", "mixed-model-report", "skeleton", "skeleton.Rmd",
    package = "partialpool"
  )
  reports <- list(
    "report-sleepstudy.html" = list(),
    "report-herds.html" = list(
      data = "cbpp", family = "binomial",
      formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    )
  )
  # Knitted in the output folder, so that no intermediate file is left in the tree
  for (file in names(reports)) {
    rmarkdown::render(
      template, output_file = file, output_dir = output, intermediates_dir = output,
      params = reports[[file]], quiet = TRUE, envir = new.env(parent = globalenv())
    )
  }
  file.path(output, names(reports))
}

main()
