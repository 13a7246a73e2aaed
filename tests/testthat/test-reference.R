# Every LMM of the reference file: 63 models on classical data sets, lme4 and glmmTMB beside them.
# `objective` is the best of several optimisers and a Newton polish; ours may not be above it.

reference_data <- function(code) {
  # The file keeps expressions on one line, four blanks where lines were broken.
  env <- new.env(parent = globalenv())
  env$df <- function(x) {
    class(x) <- "data.frame"
    x
  }
  env$devdata <- function(x) get(x, envir = asNamespace("lme4"))
  tryCatch(eval(parse(text = gsub("    ", "\n", code)), env), error = function(e) NULL)
}

estimated_sds <- function(fit) {
  v <- as.data.frame(VarCorr(fit))
  v <- v[v$grp != "Residual" & is.na(v$var2), ]
  stats::setNames(v$sdcor, paste0(v$grp, ".", v$var1))
}

estimated_correlations <- function(fit) {
  v <- as.data.frame(VarCorr(fit))
  v <- v[!is.na(v$var2), ]
  stats::setNames(v$sdcor, paste0(v$grp, ".", v$var1, ".", v$var2))
}

reference <- jsonlite::fromJSON(test_path("fixtures", "lmm.json"), simplifyVector = FALSE)$models

for (id in names(reference)) {
  test_that(paste("reference model", id), {
    skip_if_not_installed("lme4")
    record <- reference[[id]]
    package <- sub(".*?([A-Za-z0-9]+)::.*", "\\1", record$data)
    if (package %in% c("mlmRev", "nlme")) skip_if_not_installed(package)
    data <- reference_data(record$data)
    if (is.null(data)) skip(paste("no data:", record$data))
    formula <- stats::as.formula(record$formula)
    weights <- if (is.null(record$weights)) NULL else data[[record$weights]]
    said <- NULL
    fit <- withCallingHandlers(
      lmm(formula, data, REML = record$method == "REML", weights = weights),
      message = function(m) {
        said <<- c(said, class(m)[1L])
        invokeRestart("muffleMessage")
      }
    )

    # no missed optimum, no false alarm
    expect_lte(fit$criterion - record$objective, 1e-6)
    expect_gte(fit$criterion - record$objective, -1e-6)
    expect_equal(fit$convergence$status, "converged")
    # a singular optimum is compared with that of a second start
    expect_lt(fit$convergence$evaluations, if (record$singular) 40L else 20L)
    expect_identical(is_singular(fit), record$singular)
    expect_identical("partialpool_message_singular" %in% said, record$singular)

    expect_equal(as.numeric(logLik(fit)), record$logLik, tolerance = 1e-6 / abs(record$logLik))
    expect_equal(nobs(fit), record$n)
    expect_equal(attr(logLik(fit), "df"), record$df)
    expect_equal(AIC(fit), record$AIC, tolerance = 1e-8)
    expect_equal(BIC(fit), record$BIC, tolerance = 1e-8)
    fixed <- unlist(record$fixef)
    expect_equal(fixef(fit)[names(fixed)], fixed, tolerance = 1e-5)
    expect_equal(unname(sqrt(diag(vcov(fit)))), unlist(record$se), tolerance = 1e-5)
    expect_equal(sigma(fit), record$sigma, tolerance = 1e-5)
    sd <- unlist(record$sd)
    ours <- estimated_sds(fit)
    if (any(names(fit$random[[1L]]) == "structure") && fit$random[[1L]]$structure == "diag") {
      names(sd) <- sub("Subject\\.1\\.", "Subject.", names(sd)) # lme4 splits the double bar
    }
    expect_setequal(names(ours), names(sd))
    expect_equal(ours[names(sd)], sd, tolerance = 1e-4)
    if (length(record$cor)) {
      cor <- unlist(record$cor)
      expect_equal(estimated_correlations(fit)[names(cor)], cor, tolerance = 1e-4)
    }
    # sum of squares of the random effects
    expect_equal(sum(unlist(fit$b)^2), record$b_ss, tolerance = 1e-3)
    expect_equal(unname(fitted(fit)[1:3]), unlist(record$fitted_head), tolerance = 1e-4)
  })
}
