# Simulation study: how often intervals hold the true value, in small designs.
#   Rscript bench/coverage.R [DATA SETS]
# Writes vignettes/coverage.csv, one row a design, parameter and method: the share of data sets
# whose interval holds the true value (an interval that does not exist does not), its simulation
# error, the median width, and how many intervals did not exist. 1000 data sets a design (the
# default) take about eight minutes on one core. The bootstrap, of 199 replicates each, is done for
# the first 200 of them.
#
# Model: y = 1 + 0.5 x + 0.5 treated + b0[g] + b1[g] x + e, x standard normal within groups, every
# other group treated. Groups have 3 to 7 rows, 5 in the mean. Standard deviations: b0 1, b1 0.5
# (or none), correlation 0.3, e 1.

library(partialpool)

beta <- c("(Intercept)" = 1, x = 0.5, treated = 0.5)
designs <- expand.grid(groups = c(6, 12), slopes = c(FALSE, TRUE))
boot_sets <- 200
boot_replicates <- 199

draw <- function(design) {
  sizes <- rep_len(c(3, 7, 5, 4, 6), design$groups)
  g <- rep(seq_along(sizes), sizes)
  x <- stats::rnorm(length(g))
  treated <- g %% 2
  b0 <- stats::rnorm(design$groups)
  b1 <- if (design$slopes) 0.5 * (0.3 * b0 + sqrt(1 - 0.3^2) * stats::rnorm(design$groups)) else 0
  y <- beta[[1]] + beta[[2]] * x + beta[[3]] * treated + b0[g] + rep_len(b1, design$groups)[g] * x +
    stats::rnorm(length(g))
  data.frame(y, x, treated, g)
}

true_values <- function(design) {
  random <- c("sd_(Intercept)|g" = 1)
  if (design$slopes) random <- c(random, "cor_x.(Intercept)|g" = 0.3, "sd_x|g" = 0.5)
  c(random, sigma = 1, beta)
}

# Intervals of one fit by every method: a list of matrices with a row a parameter. Singular fits and
# profiles that end at a limit are part of the study, not news.
intervals <- function(data, design, k) {
  formula <- if (design$slopes) y ~ x + treated + (x | g) else y ~ x + treated + (1 | g)
  fit <- lmm(formula, data, control = pp_control(check = FALSE))
  wald <- function(ddf, parm = "beta_") confint(fit, parm, method = "wald", ddf = ddf)
  found <- list(
    "Wald z" = confint(fit, method = "wald", ddf = "none"),
    Satterthwaite = wald("satterthwaite"), "Kenward-Roger" = wald("kenward-roger"),
    profile = confint(fit, method = "profile")
  )
  if (k <= boot_sets) {
    replicates <- bootstrap(fit, boot_replicates, seed = k)
    found[["bootstrap, percentile"]] <- confint(replicates)
    found[["bootstrap, basic"]] <- confint(replicates, type = "basic")
  }
  lapply(found, function(table) suppressWarnings(table))
}

# One design: rows of the table.
study_design <- function(i, sets) {
  design <- designs[i, ]
  true <- true_values(design)
  set.seed(200 + i)
  data <- replicate(sets, draw(design), simplify = FALSE)
  all <- lapply(seq_len(sets), function(k) {
    suppressWarnings(suppressMessages(intervals(data[[k]], design, k)))
  })
  methods <- names(all[[1]])
  rows <- lapply(methods, function(method) {
    tables <- Filter(Negate(is.null), lapply(all, `[[`, method))
    names <- intersect(names(true), rownames(tables[[1]]))
    do.call(rbind, lapply(names, function(name) {
      limits <- vapply(tables, function(table) unname(table[name, ]), numeric(2))
      holds <- limits[1, ] <= true[[name]] & true[[name]] <= limits[2, ]
      coverage <- mean(!is.na(holds) & holds)
      data.frame(
        groups = design$groups, model = if (design$slopes) "slopes" else "intercepts",
        parameter = name, method = method, true = true[[name]], coverage = round(coverage, 4),
        error = round(sqrt(coverage * (1 - coverage) / length(holds)), 4),
        width = signif(stats::median(limits[2, ] - limits[1, ], na.rm = TRUE), 4),
        missing = sum(is.na(holds)), data_sets = length(holds),
        replicates = if (startsWith(method, "bootstrap")) boot_replicates else NA
      )
    }))
  })
  do.call(rbind, rows)
}

sets <- as.integer(c(commandArgs(TRUE), 1000)[1])
started <- proc.time()[["elapsed"]]
table <- do.call(rbind, lapply(seq_len(nrow(designs)), study_design, sets = sets))
cat(round(proc.time()[["elapsed"]] - started), "s\n")
print(stats::ftable(
  tapply(table$coverage, table[c("model", "groups", "parameter", "method")], mean), row.vars = 1:3
))
path <- file.path(if (dir.exists("vignettes")) "vignettes" else "../vignettes", "coverage.csv")
utils::write.csv(table, path, row.names = FALSE)
