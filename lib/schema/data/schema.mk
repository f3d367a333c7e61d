# Compiles the schema data into constant C tables; included by the Makefile.
SCHEMA_DATA := $(sort $(wildcard lib/schema/data/*.schema lib/schema/data/*.words))
SCHEMA_OBJ  := $(O)/gen/schema_data.o
$(O)/gen/schema_data.c: $(SCHEMA_DATA) tools/schemac | $(O)/flags
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && tools/schemac $(SCHEMA_DATA) > $@
