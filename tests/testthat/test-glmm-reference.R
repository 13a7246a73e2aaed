# Every generalised model of the reference file that glmm() has the terms for. The optimum that each
# is measured against is in fixtures/glmm_marks.json, made by data-raw/glmm_marks.R:
#
# | records | mark |
# |---|---|
# | *.A1, nb_*, tmb.*, dev.* | glmmTMB's Laplace criterion, polished by Newton's method: a true |
# |                          | Laplace (observed information), which lme4's is for canonical links |
# |                          | only; lme4's Gamma fits are not maximum likelihood |
# | *.A0 | the same with beta in the inner mode; lme4's figure for canonical links |
# | *.A9, *.A25, aghq.* | brute-force quadrature with all constants, which lme4 drops |
# | cbpp_cauchit, pois_sqrt | brute-force Laplace: glmmTMB lacks the one link, and for the other |
# |                         | ends in a worse mode (-715.15, against -683.77) |
#
# Left out of the reference file's records for glmm():
#
# | record | why |
# |---|---|
# | tmb.owls_genpois | generalised Poisson is no family of glmm() |
# | tmb.sal_zip_re | random effects in the zero-inflation part |
# | tmb.sleep_ou | ou() is no covariance structure of lmm() |
# | tmb.sleep_*, tmb.machines_cs, dev.machines_*, dev.sleep_* | linear mixed models |
# | nlmer.*, profile.*, ddf.* | other functions |

records <- jsonlite::fromJSON(test_path("fixtures", "glmm.json"), simplifyVector = FALSE)$models
marks <- jsonlite::fromJSON(test_path("fixtures", "glmm_marks.json"), simplifyVector = FALSE)
suppressWarnings(RNGversion("3.6.0"))

reference_fit <- function(case, data) {
  arguments <- list(case$formula, quote(data), family = case$family, nAGQ = case$nAGQ)
  arguments$ziformula <- case$ziformula
  arguments$dispformula <- case$dispformula
  if (!is.null(case$weights)) arguments$weights <- as.name(case$weights)
  eval(as.call(c(quote(glmm), arguments)))
}

# Standard deviations and correlations by the names that lme4 gives them
fitted_sds <- function(fit) {
  v <- as.data.frame(VarCorr(fit))
  v <- v[v$grp != "Residual" & is.na(v$var2), ]
  stats::setNames(v$sdcor, paste0(v$grp, ".", v$var1))
}
fitted_cors <- function(fit) {
  v <- as.data.frame(VarCorr(fit))
  v <- v[!is.na(v$var2), ]
  stats::setNames(v$sdcor, paste(v$grp, v$var1, v$var2, sep = "."))
}

relative <- function(a, b) max(abs(a / b - 1))

for (id in names(records)) {
  test_that(paste("reference model", id), {
    record <- records[[id]]
    mark <- lapply(marks[[id]], unlist)
    for (package in reference_packages(record$data)) skip_if_not_installed(package)
    if (grepl("insteval", id)) skip_on_cran()
    data <- reference_glmm_data(record$data)
    fit <- quietly(reference_fit(reference_case(record), data))

    expect_equal(fit$convergence$status, "converged")
    ahead <- as.numeric(logLik(fit)) - mark$logLik
    expect_gt(ahead, -1e-5)
    expect_lt(ahead, 1e-5) # the mark is an optimum: more would be another criterion
    expect_equal(nobs(fit), nrow(data))

    expect_equal(fixef(fit)[names(mark$fixef)], mark$fixef, tolerance = 1e-4)
    se <- sqrt(diag(vcov(fit)))
    expect_lt(max(abs(fixef(fit)[names(mark$fixef)] - mark$fixef) / se[names(mark$fixef)]), 1e-3)
    expect_lt(relative(se[names(mark$se)], mark$se), 1e-3)

    sd <- fitted_sds(fit)
    expect_setequal(names(sd), names(mark$sd))
    expect_equal(sd[names(mark$sd)], mark$sd, tolerance = 1e-4)
    expect_identical(is_singular(fit), any(mark$sd == 0))
    if (length(mark$cor)) {
      expect_equal(fitted_cors(fit)[names(mark$cor)], mark$cor, tolerance = 1e-4)
    }

    # dispersion and zero inflation on their own scales, with standard errors
    all_se <- sqrt(diag(fit$vcov_full))
    p <- length(fixef(fit))
    d <- length(mark$dispersion)
    if (d) {
      expect_equal(unname(fit$dispersion$coefficients), unname(mark$dispersion), tolerance = 1e-4)
      expect_lt(relative(all_se[p + seq_len(d)], mark$dispersion_se), 1e-3)
    }
    z <- length(mark$zi)
    if (z) {
      expect_equal(unname(fit$zi$coefficients), unname(mark$zi), tolerance = 1e-4)
      expect_lt(relative(all_se[p + d + seq_len(z)], mark$zi_se), 1e-3)
    }
    if (length(mark$shape)) expect_equal(unname(fit$shape), mark$shape, tolerance = 1e-4)
  })
}
