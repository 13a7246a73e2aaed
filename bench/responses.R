# Many responses on one design: lmm_responses() beside a loop of lme4::refit().
#   Rscript bench/responses.R [RESPONSES]        (1000)
# The design is the probe set of the tests: 600 rows, 6 fixed effects, 12 groups. lme4 is timed on a
# tenth of the responses; it gives no degrees of freedom or tests, lmerTest would add those. Its REML
# refit counts one fixed effect (1.1-31): coefficients differ in the fourth digit.

library(partialpool)

arguments <- as.integer(commandArgs(TRUE))
m <- if (length(arguments)) arguments[1] else 1000L
p <- utils::read.csv("tests/testthat/fixtures/A_probe.csv")
for (name in c("A", "B", "g")) p[[name]] <- factor(p[[name]])
set.seed(1)
b <- matrix(rnorm(12 * m), 12)
Y <- p$y + b[as.integer(p$g), ] + matrix(rnorm(600 * m), 600)
formula <- y ~ A + B + x + A:x + (1 | g)

seconds <- function(code) system.time(code)[["elapsed"]]
rows <- list()
add <- function(what, count, time) {
  rows[[length(rows) + 1L]] <<- data.frame(
    what = what, responses = count, seconds = round(time, 3), ms_each = round(1e3 * time / count, 3)
  )
}

add("lmm_responses(), Satterthwaite", m, seconds(many <- lmm_responses(formula[-2], p, Y)))
add("lmm_responses(ddf = \"none\")", m, seconds(lmm_responses(formula[-2], p, Y, ddf = "none")))
few <- seq_len(max(2L, m %/% 10L))
fit <- lmm(formula, p)
add("refit() in a loop", length(few), seconds(for (j in few) refit(fit, Y[, j])))
if (requireNamespace("lme4", quietly = TRUE)) {
  reference <- lme4::lmer(formula, p)
  estimates <- matrix(0, length(few), 6)
  add("lme4::refit() in a loop", length(few), seconds(for (j in few) {
    estimates[j, ] <- lme4::fixef(lme4::refit(reference, Y[, j]))
  }))
  cat("largest difference of a coefficient from lme4:", max(abs(estimates - coef(many)[few, ])), "\n")
}
print(do.call(rbind, rows), row.names = FALSE)
