# What people feed to mixed models, and what comes back: one entry a row of the list of bad input,
# each with the calls to try and what all of them must end in.

d <- transform(
  sleepstudy,
  g = as.character(Subject), one = factor("a"), row = seq_len(180), zero = 0, const = 5,
  f = factor(rep(c("u", "v", "w"), 60)), half = factor(rep(1:2, 90)), day = Days, twice = 2 * Days,
  real = rep(seq(0.5, 120), length.out = 180), text = rep(c("p", "q", "r", "s", "t"), 36),
  step = ordered(rep(1:5, 36)), date = as.Date("2020-01-01") + Days, id = as.integer(Subject),
  flat = as.integer(Subject) / 3
)
d$surv <- structure(cbind(time = d$Reaction, status = 1), class = "Surv")
d$near <- d$Days + 1e-6 * sin(seq_len(180))

with_value <- function(name, rows, value) {
  d[[name]][rows] <- value
  d
}

fit <- function(formula, data = d, ...) lmm(formula, data, ...)
model <- Reaction ~ Days + (Days | Subject)
simple <- Reaction ~ Days + (1 | Subject)

# Missing and infinite values -------------------------------------------------------------------

walk(
  ends("NA/NaN response or predictor or group: rows dropped, counted",
    fit(simple, with_value("Reaction", 3, NA)), fit(simple, with_value("Days", 3, NaN)),
    fit(simple, with_value("Subject", 3, NA)),
    value = nobs(x) == 179 && length(x$na.action) == 1
  ),
  ends("na.exclude: padded with NA",
    fitted(fit(simple, with_value("Reaction", 3, NA), na.action = na.exclude)),
    residuals(fit(simple, with_value("Days", 3, NA), na.action = na.exclude)),
    value = length(x) == 180 && is.na(x[3]) && sum(is.na(x)) == 1
  ),
  ends("na.fail",
    fit(simple, with_value("Reaction", 3, NA), na.action = na.fail),
    error = "missing", text = "missing values in object `Reaction`"
  ),
  ends("na.pass, NA in y",
    fit(simple, with_value("Reaction", 3, NA), na.action = na.pass),
    error = "response", text = "`Reaction`.* row 3"
  ),
  ends("na.pass, NA in X or Z",
    fit(simple, with_value("Days", 3, NA), na.action = na.pass),
    fit(Reaction ~ 1 + (Days | Subject), with_value("Days", 3, NA), na.action = na.pass),
    error = "variable", text = "`Days`.* row 3"
  ),
  ends("na.pass, NA in a group",
    fit(simple, with_value("Subject", 3, NA), na.action = na.pass),
    error = "group", text = "`Subject`.* row 3"
  ),
  ends("Inf response",
    fit(simple, with_value("Reaction", 3, Inf)), fit(simple, with_value("Reaction", 3, -Inf)),
    error = "response", text = "`Reaction`.* row 3"
  ),
  ends("Inf predictor",
    fit(simple, with_value("Days", 3, Inf)), error = "variable", text = "`Days`.* row 3"
  ),
  ends("Inf predictor by a transformation",
    fit(Reaction ~ log(Days) + (1 | Subject)), error = "variable", text = "`log\\(Days\\)`"
  ),
  ends("Inf in random-slope variable",
    fit(Reaction ~ 1 + (Days | Subject), with_value("Days", 3, Inf)),
    error = "variable", text = "Days \\| Subject"
  ),
  ends("all-NA response or group; subset empty; 0 rows",
    fit(simple, transform(d, Reaction = NA_real_)), fit(simple, transform(d, Subject = NA)),
    fit(simple, d, subset = Days > 99), fit(simple, d[0, ]),
    error = "data", text = "0 \\(non-NA\\) cases"
  )
)

# Groups ----------------------------------------------------------------------------------------

walk(
  ends("1 row / 2 rows",
    fit(model, d[1, ]), fit(model, d[1:2, ]), error = "group", text = "> 1 sampled level"
  ),
  ends("1 row a level",
    fit(model, d[c(1, 11), ]), error = "group", text = "levels .* must be < number of observations"
  ),
  ends("group with 1 level (even beside good term)",
    fit(Reaction ~ (1 | one)), fit(Reaction ~ (1 | Subject) + (1 | one)),
    error = "group", text = "`one`"
  ),
  ends("group with 2 levels", fit(Reaction ~ Days + (1 | half)), value = inherits(x, "pp_lmm")),
  ends("levels == n", fit(Reaction ~ (1 | row)), error = "group", text = "`row`"),
  ends("slopes with q >= n",
    fit(Reaction ~ (poly(Days, 9) | Subject)),
    error = "identifiability", text = "observations .* <= the number of random effects"
  ),
  ends("`(g|g)`, `(.|g)`",
    fit(Reaction ~ (g | g)), fit(Reaction ~ (. | g), d[c("Reaction", "Days", "g")]),
    error = "identifiability", text = "unidentifiable"
  ),
  ends("g both fixed and random; x*g + (x|g)",
    fit(Reaction ~ Subject + (1 | Subject)), fit(Reaction ~ Days * Subject + (Days | Subject)),
    warning = "identifiability", text = "`Subject`"
  ),
  ends("duplicate RE term",
    fit(Reaction ~ Days + (1 | Subject) + (1 | Subject)),
    fit(Reaction ~ Days + (1 | Subject) + (Days | g)),
    warning = "identifiability", text = "Subject"
  ),
  ends("collinear random slopes: dropped by name",
    fit(Reaction ~ Days + (Days + twice | Subject)),
    message = "rank", text = "Days \\+ twice \\| Subject.*`twice`",
    value = isTRUE(all.equal(x$criterion, fit(model)$criterion)) &&
      isTRUE(all.equal(predict(x, d[1:5, ]), predict(fit(model), d[1:5, ]), tolerance = 1e-5))
  ),
  ends("unused levels (group or fixed)",
    fit(Reaction ~ f + (1 | Subject), d, subset = f != "u" & Subject != "308"),
    value = length(fixef(x)) == 2 && nrow(ranef(x)$Subject) == 17
  ),
  ends("character, integer, logical, Date, ordered grouping",
    fit(Reaction ~ Days + (1 | g)), fit(Reaction ~ Days + (1 | id)),
    fit(Reaction ~ (1 | Days > 4)), fit(Reaction ~ (1 | date)), fit(Reaction ~ (1 | step)),
    value = inherits(x, "pp_lmm")
  ),
  ends("double grouping",
    fit(Reaction ~ Days + (1 | flat)), value = all.equal(logLik(x), logLik(fit(simple)))
  ),
  ends("double grouping with > n/2 values",
    fit(Reaction ~ Days + (1 | real)), warning = "group", text = "`real`"
  ),
  ends("grouping expression `(1|factor(g))`, `(1|paste(g,f))`",
    fit(Reaction ~ Days + (1 | factor(g))), fit(Reaction ~ Days + (1 | paste(g, half))),
    value = inherits(x, "pp_lmm")
  )
)

# Response --------------------------------------------------------------------------------------

walk(
  ends("constant response; zero response `~1`",
    fit(const ~ Days + (1 | Subject)), fit(zero ~ 1 + (1 | Subject)),
    error = "response", text = "constant"
  ),
  ends("exact fit / y constant within group",
    fit(twice ~ Days + (1 | Subject)), fit(id ~ 1 + (1 | Subject)),
    error = "", text = "residual variance is zero"
  ),
  ends("factor, character, Date, difftime, complex response",
    fit(f ~ Days + (1 | Subject)), fit(g ~ Days + (1 | Subject)), fit(date ~ (1 | Subject)),
    fit(as.difftime(Days, units = "days") ~ (1 | Subject)),
    fit(complex(real = Reaction) ~ (1 | Subject)),
    error = "response", text = "must be numeric"
  ),
  ends("Surv response", fit(surv ~ (1 | Subject)), error = "response", text = "single column"),
  ends("logical or integer response",
    fit((Days > 4) ~ Reaction + (1 | half)), fit(as.integer(Reaction) ~ Days + (1 | Subject)),
    value = is.numeric(fixef(x))
  ),
  ends("response on rhs",
    fit(Reaction ~ Reaction + Days + (1 | Subject)),
    warning = "formula", text = "right-hand side", value = length(fixef(x)) == 2
  ),
  ends("y*1e-200 / y*1e200",
    fit(I(Reaction * 1e-200) ~ Days + (1 | Subject)),
    fit(I(Reaction * 1e200) ~ Days + (1 | Subject)),
    value = isTRUE(all.equal(unname(x$theta), unname(fit(simple)$theta), tolerance = 1e-4))
  ),
  ends("y+1e9",
    fit(I(Reaction + 1e9) ~ Days + (1 | Subject)),
    value = isTRUE(all.equal(sigma(x), sigma(fit(simple)), tolerance = 1e-4))
  )
)

# Fixed effects ---------------------------------------------------------------------------------

walk(
  ends("perfectly collinear X, constant column",
    fit(Reaction ~ Days + twice + (1 | Subject)), message = "rank", text = "`twice`",
    value = isTRUE(all.equal(fixef(x), fixef(fit(simple))))
  ),
  ends("constant column",
    fit(Reaction ~ Days + const + (1 | Subject)), message = "rank", text = "`const`"
  ),
  ends("X with p>n",
    fit(Reaction ~ factor(row) + (1 | Subject)), error = "rank", text = "as many"
  ),
  ends("near-collinear 1e-6",
    fit(Reaction ~ Days + near + (1 | Subject)), warning = "", text = "near"
  ),
  ends("x*1e8 in fixed effects and slope",
    fit(Reaction ~ I(Days * 1e8) + (I(Days * 1e8) | Subject)),
    value = isTRUE(all.equal(
      as.numeric(logLik(x)), as.numeric(logLik(fit(model))) - log(1e8), tolerance = 1e-8
    ))
  ),
  ends("a factor of one level",
    fit(Reaction ~ one + (1 | Subject)), error = "variable", text = "`one`"
  )
)

# Offset and weights ----------------------------------------------------------------------------

walk(
  ends("offset too short",
    fit(simple, offset = 1:3), error = "offset", text = "lengths differ.*3 values"
  ),
  ends("offset scalar",
    fit(simple, offset = 100),
    value = isTRUE(all.equal(fixef(x)[[1]], fixef(fit(simple))[[1]] - 100))
  ),
  ends("offset NA: row dropped", fit(simple, offset = c(NA, rep(0, 179))), value = nobs(x) == 179),
  ends("offset -Inf (log 0)",
    fit(simple, offset = log(Days)), fit(Reaction ~ offset(log(Days)) + (1 | Subject)),
    error = "offset", text = "infinite"
  ),
  ends("offset character",
    fit(simple, offset = text), fit(Reaction ~ offset(text) + (1 | Subject)),
    error = "offset", text = "numeric"
  ),
  ends("weights negative",
    fit(simple, weights = Days - 5), error = "weights", text = "must not be negative.*rows 1, 2"
  ),
  ends("weights zero (some / whole group): rows dropped",
    fit(simple, weights = as.numeric(Days > 0)), message = "weights", text = "18 rows",
    value = nobs(x) == 162 && isTRUE(all.equal(
      as.numeric(logLik(x)), as.numeric(logLik(fit(simple, d, subset = Days > 0)))
    ))
  ),
  ends("weights all zero", fit(simple, weights = zero), error = "weights", text = "zero"),
  ends("weights Inf", fit(simple, weights = 1 / Days), error = "weights", text = "infinite"),
  ends("weights character", fit(simple, weights = text), error = "weights", text = "numeric"),
  ends("weights NA: row dropped",
    fit(simple, weights = c(NA, rep(1, 179))), value = nobs(x) == 179
  ),
  ends("weights short / scalar",
    fit(simple, weights = 1:3), fit(simple, weights = 2), error = "weights", text = "lengths differ"
  ),
  ends("weights over 16 decades",
    fit(simple, weights = 10^(2 * Days - 9)), warning = "weights", text = "18 decades"
  )
)

# Formula and data ------------------------------------------------------------------------------

walk(
  ends("no bars: a linear model", fit(Reaction ~ Days),
    message = "", value = isTRUE(all.equal(fixef(x), coef(lm(Reaction ~ Days, d))))
  ),
  ends("one-sided formula", fit(~ Days + (1 | Subject)), error = "formula", text = "response"),
  ends("missing parentheses `y ~ x + 1|g`",
    fit(Reaction ~ Days + 1 | Subject),
    error = "formula", text = "Reaction ~ Days \\+ \\(1 \\| Subject\\)"
  ),
  ends("`(0|g)`", fit(Reaction ~ (0 | Subject)), error = "random", text = "no column"),
  ends("`y ~ 0 + (1|g)`", fit(Reaction ~ 0 + (1 | Subject)),
    value = length(fixef(x)) == 0 &&
      isTRUE(all.equal(x$criterion, fit(Reaction ~ 0 + (1 | Subject), REML = FALSE)$criterion))
  ),
  ends("missing variable / group / response",
    fit(Reaction ~ qqq + (1 | Subject)), fit(Reaction ~ (1 | qqq)), fit(qqq ~ (1 | Subject)),
    error = "variable", text = "`qqq` not found"
  ),
  ends("missing data", lmm(simple, nosuch), error = "data", text = "'nosuch' not found"),
  ends("data is matrix",
    fit(simple, data.matrix(d[c("Reaction", "Days", "Subject")])),
    value = isTRUE(all.equal(fixef(x), fixef(fit(simple))))
  ),
  ends("data is matrix without names",
    fit(simple, matrix(1, 2, 2)), error = "data", text = "names"
  ),
  ends("data is list / tibble; NULL + env vars",
    fit(simple, as.list(d)), with(d, lmm(Reaction ~ Days + (1 | Subject))),
    value = isTRUE(all.equal(fixef(x), fixef(fit(simple))))
  ),
  ends("random slope by factor, char, ordered",
    fit(Reaction ~ (f | Subject)), fit(Reaction ~ (f | g)), fit(Reaction ~ (step | half)),
    value = ncol(ranef(x)[[1]]) %in% c(3, 5)
  ),
  ends("`(f||g)`: diag semantics",
    fit(Reaction ~ (f || Subject)), message = "random", text = "3 uncorrelated columns",
    value = length(x$theta) == 3
  ),
  ends("unknown argument", fit(simple, weigths = Days), error = "argument", text = "weigths"),
  ends("start wrong length/name/NA/negative",
    fit(model, start = 1), fit(model, start = list(thta = c(1, 0, 1))),
    fit(model, start = c(1, NA, 1)), fit(model, start = c(-1, 0, 1)),
    error = "start", text = "theta|start"
  ),
  ends("maxeval reached: 1 warning",
    fit(model, start = c(1, 0.9, 1), control = pp_control(max_iterations = 1)),
    warning = "fit"
  ),
  ends("REML=2 / NA", fit(simple, REML = 2), fit(simple, REML = NA),
    error = "argument", text = "REML"
  )
)

# After the fit ---------------------------------------------------------------------------------

new <- data.frame(Days = 1:2, Subject = c("308", "zz"))
holes <- data.frame(Days = 1:2, Subject = c("308", NA))

walk(
  ends("predict: new level",
    predict(fit(simple), new), error = "newdata", text = "new levels detected in newdata.*zz"
  ),
  ends("predict: new level allowed -> population",
    predict(fit(simple), new, allow.new.levels = TRUE)[[2]],
    value = isTRUE(all.equal(x, sum(fixef(fit(simple)) * c(1, 2))))
  ),
  ends("predict: NA group",
    predict(fit(simple), holes), error = "newdata", text = "allow.new.levels"
  ),
  ends("predict: new fixed-factor level",
    predict(fit(Reaction ~ f + (1 | Subject)), data.frame(f = "nix", Subject = "308")),
    error = "newdata", text = "`f`.*nix"
  ),
  ends("predict: 0-row newdata", predict(fit(simple), new[0, ]), value = length(x) == 0),
  ends("predict: argument typo (`re.frm`)",
    predict(fit(simple), re.frm = NA), error = "argument", text = "re.frm"
  ),
  ends("predict: re.form with unknown term",
    predict(fit(simple), d, re.form = ~ (1 | f)), error = "argument", text = "1 \\| f"
  ),
  ends("predict: offset argument of the fit is not in newdata",
    predict(fit(Reaction ~ (1 | Subject), offset = day), d["Subject"]),
    error = "newdata", text = "offset"
  ),
  ends("refit wrong length / NA",
    refit(fit(simple), 1:3), refit(fit(simple), c(NA, d$Reaction[-1])), error = ""
  ),
  ends("ranef(whichel typo)", ranef(fit(simple), whichel = "Subjct"),
    error = "argument", text = "Subjct"
  ),
  ends("anova n mismatch",
    anova(fit(simple), fit(Reaction ~ 1 + (1 | Subject), d[-1, ])), error = ""
  )
)
